package domain

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"pasdetrois/pkg/messages"
)

// Placement is a request to place an order.
type Placement struct {
	OrderID       string
	UserID        string
	Total         messages.Money // meaningful when HasTotal
	HasTotal      bool           // always true when there are no lines
	Currency      string         // "" = that of the catalogue
	Lines         []Line         // without prices
	PaymentMethod string
	Email         string
	TraceParent   string
}

// PlacementOf reads a placement from an order_placed message.
func PlacementOf(e messages.OrderPlaced, traceParent string) Placement {
	p := Placement{OrderID: e.OrderID, UserID: e.UserID, Total: e.Total, HasTotal: e.HasTotal, Currency: e.Total.Currency,
		PaymentMethod: e.PaymentMethod, Email: e.Email, TraceParent: traceParent}
	for _, it := range e.Items {
		p.Lines = append(p.Lines, Line{SKU: it.SKU, Quantity: it.Quantity})
	}
	return p
}

var (
	// ErrUnknownSKU means that an order has a sku that is not in the catalogue.
	ErrUnknownSKU = errors.New("unknown sku")
	// ErrTotalMismatch means that the stated total is not the catalogue's.
	ErrTotalMismatch = errors.New("the total is not what the items cost")
	// ErrNotPriceable means that an order's items have no sum: several currencies, not the order's currency, or too much
	// money.
	ErrNotPriceable = errors.New("the items cannot be priced")
	// ErrContradiction means that a message contradicts its order.
	ErrContradiction = errors.New("contradicts the order")
)

// UnknownSKUError wraps ErrUnknownSKU and has the unknown skus.
type UnknownSKUError struct{ SKUs []string }

func (e *UnknownSKUError) Error() string { return "unknown sku: " + strings.Join(e.SKUs, ", ") }
func (e *UnknownSKUError) Unwrap() error { return ErrUnknownSKU }

// price returns the total and the lines with their prices, by the catalogue. Without lines the stated total counts.
func (p Placement) price(stock Stock) (messages.Money, []Line, error) {
	if len(p.Lines) == 0 {
		return p.Total, nil, nil
	}
	if missing := stock.Missing(p.Lines); len(missing) > 0 {
		return messages.Money{}, nil, &UnknownSKUError{SKUs: missing}
	}
	currency := p.Currency
	if currency == "" {
		currency = stock[p.Lines[0].SKU].Price.Currency
	}
	total := messages.Money{Currency: currency}
	lines := make([]Line, len(p.Lines))
	for i, l := range p.Lines {
		l.UnitPrice = stock[l.SKU].Price
		sum, err := l.UnitPrice.Mul(l.Quantity)
		if err == nil {
			total, err = total.Add(sum)
		}
		if err != nil {
			return messages.Money{}, nil, fmt.Errorf("%w: %s: %w", ErrNotPriceable, l.SKU, err)
		}
		lines[i] = l
	}
	if p.HasTotal && p.Total != total {
		return messages.Money{}, nil, fmt.Errorf("%w: stated %s, they cost %s", ErrTotalMismatch, p.Total, total)
	}
	return total, lines, nil
}

// Place makes a pending order of the placement, priced by the catalogue. It returns an error wrapping ErrUnknownSKU,
// ErrTotalMismatch or ErrNotPriceable.
func Place(p Placement, stock Stock, by string, policy Policy, now time.Time) (Order, error) {
	total, lines, err := p.price(stock)
	if err != nil {
		return Order{}, err
	}
	return p.order(total, lines, by, policy, now)
}

// PlaceUnpriced makes a pending order of a placement with an unknown sku, so that it can be rejected.
func PlaceUnpriced(p Placement, by string, policy Policy, now time.Time) (Order, error) {
	total := messages.Money{Currency: p.Currency}
	if p.HasTotal {
		total = p.Total
	}
	if total.Currency == "" {
		total.Currency = messages.DefaultCurrency
	}
	return p.order(total, p.Lines, by, policy, now)
}

func (p Placement) order(total messages.Money, lines []Line, by string, policy Policy, now time.Time) (Order, error) {
	o := Order{ID: p.OrderID, UserID: p.UserID, Total: total, Lines: lines, PaymentMethod: p.PaymentMethod, Email: p.Email,
		Holds: HoldsNone, CreatedAt: now, TraceParent: p.TraceParent}
	if err := o.move(Pending, messages.EventOrderPlaced, "", by, now); err != nil {
		return Order{}, err
	}
	o.DueAt = now.Add(policy.RepublishAfter)
	return o, nil
}

// Same returns nil when the placement has the same content as the order, else an error wrapping ErrContradiction. The order of
// the lines does not matter, and neither does a total that was left to the catalogue. The default payment method may be named
// or not.
func (o *Order) Same(p Placement) error {
	differ := func(what string) error {
		return fmt.Errorf("order %s was placed with another %s: %w", o.ID, what, ErrContradiction)
	}
	switch {
	case o.UserID != p.UserID:
		return differ("user_id")
	case p.HasTotal && o.Total != p.Total:
		return differ("total")
	case p.Currency != "" && o.Total.Currency != p.Currency:
		return differ("currency")
	case cmp.Or(o.PaymentMethod, messages.DefaultPaymentMethod) != cmp.Or(p.PaymentMethod, messages.DefaultPaymentMethod):
		return differ("payment_method")
	case o.Email != p.Email:
		return differ("email")
	case !sameLines(o.Lines, p.Lines):
		return differ("list of items")
	}
	return nil
}

func sameLines(a, b []Line) bool {
	if len(a) != len(b) {
		return false
	}
	quantity := make(map[string]int, len(a))
	for _, l := range a {
		quantity[l.SKU] = l.Quantity
	}
	for _, l := range b {
		if quantity[l.SKU] != l.Quantity {
			return false
		}
	}
	return true
}
