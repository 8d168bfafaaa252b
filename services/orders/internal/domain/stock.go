package domain

import (
	"fmt"

	"pasdetrois/pkg/messages"
)

// Product is one thing that can be ordered, and where its pieces are. Available + Reserved + Sold = Stocked, always, and
// none of them is negative; the table has the same rules as CHECKs.
type Product struct {
	SKU       string
	Name      string
	Price     messages.Money
	Available int64
	Reserved  int64
	Sold      int64
	Stocked   int64
}

// Stock is the products that a decision is about, by sku.
type Stock map[string]*Product

// Missing returns the skus of the lines that are not in stock's list, in the order of the lines.
func (s Stock) Missing(lines []Line) []string {
	var missing []string
	for _, l := range lines {
		if s[l.SKU] == nil {
			missing = append(missing, l.SKU)
		}
	}
	return missing
}

// Short returns the first sku that has fewer pieces available than its line asks for, "" when there is enough of all.
func (s Stock) Short(lines []Line) string {
	for _, l := range lines {
		if p := s[l.SKU]; p == nil || p.Available < int64(l.Quantity) {
			return l.SKU
		}
	}
	return ""
}

// The four moves of pieces. The caller has checked that the pieces are where they are taken from; the table's CHECKs
// refuse the transaction if not.
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

// known returns an error when a product of the lines is not there: the caller forgot to read it.
func (s Stock) known(lines []Line) error {
	if missing := s.Missing(lines); len(missing) > 0 {
		return fmt.Errorf("stock of %q is not known", missing)
	}
	return nil
}

// giveBack returns what the order holds to what is available.
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
