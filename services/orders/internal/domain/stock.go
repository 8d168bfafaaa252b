package domain

import (
	"fmt"

	"pasdetrois/pkg/messages"
)

// Product is a product and its pieces. Always Available + Reserved + Sold = Stocked, and each of them is 0 or more; the table has
// the same rules as CHECKs.
type Product struct {
	SKU       string
	Name      string
	Price     messages.Money
	Available int64
	Reserved  int64
	Sold      int64
	Stocked   int64
	Version   int64 // as it was read: it rises with each change of the row
}

// Stock is the products of a decision, by sku.
type Stock map[string]*Product

// Missing returns the skus of the lines that s does not have, in the order of the lines.
func (s Stock) Missing(lines []Line) []string {
	var missing []string
	for _, l := range lines {
		if s[l.SKU] == nil {
			missing = append(missing, l.SKU)
		}
	}
	return missing
}

// Short returns the first sku that has fewer pieces available than its line needs, "" when there are enough of all.
func (s Stock) Short(lines []Line) string {
	for _, l := range lines {
		if p := s[l.SKU]; p == nil || p.Available < int64(l.Quantity) {
			return l.SKU
		}
	}
	return ""
}

// The four moves of pieces. The caller has checked that the pieces are there; otherwise the table's CHECKs refuse the
// transaction:
//
//	available --reserve--> reserved --sell--> sold
//	    ^ ^----release--------'                |
//	    `------restock-------------------------'
func (s Stock) reserve(lines []Line) {
	s.each(lines, func(p *Product, n int64) { p.Available -= n; p.Reserved += n })
}
func (s Stock) release(lines []Line) {
	s.each(lines, func(p *Product, n int64) { p.Reserved -= n; p.Available += n })
}
func (s Stock) sell(lines []Line) {
	s.each(lines, func(p *Product, n int64) { p.Reserved -= n; p.Sold += n })
}
func (s Stock) restock(lines []Line) {
	s.each(lines, func(p *Product, n int64) { p.Sold -= n; p.Available += n })
}

func (s Stock) each(lines []Line, move func(p *Product, n int64)) {
	for _, l := range lines {
		move(s[l.SKU], int64(l.Quantity))
	}
}

// known returns an error when s lacks a product of the lines: the caller did not read it.
func (s Stock) known(lines []Line) error {
	if missing := s.Missing(lines); len(missing) > 0 {
		return fmt.Errorf("stock of %q was not read", missing)
	}
	return nil
}

// giveBack makes the pieces that the order holds available again.
func (o *Order) giveBack(stock Stock) error {
	if o.Holds == HoldsNone {
		return nil
	}
	if err := stock.known(o.Lines); err != nil {
		return err
	}
	if o.Holds == HoldsReserved {
		stock.release(o.Lines)
	} else {
		stock.restock(o.Lines)
	}
	o.Holds = HoldsNone
	return nil
}
