package httpapi

import (
	"time"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/services/orders/internal/domain"
)

// The bodies are types of their own, apart from the domain: a change of the domain must not change the API unseen. Times are in
// UTC, and amounts are exact decimals in major units.

// Order is an order in an answer.
type Order struct {
	OrderID       string        `json:"order_id"`
	UserID        string        `json:"user_id"`
	Status        string        `json:"status" enum:"pending,awaiting_payment,confirmed,rejected,failed,cancelling,cancelled"`
	Reason        string        `json:"reason,omitempty" doc:"Why it was rejected, failed or cancelled"`
	Total         httpx.Decimal `json:"total"`
	Currency      string        `json:"currency"`
	Items         []Line        `json:"items"`
	PaymentMethod string        `json:"payment_method,omitempty"`
	Email         string        `json:"email,omitempty"`
	PaymentID     string        `json:"payment_id,omitempty"`
	CreatedAt     time.Time     `json:"created_at"`
	UpdatedAt     time.Time     `json:"updated_at"`
}

// Line is one line of an order in an answer.
type Line struct {
	SKU       string        `json:"sku"`
	Quantity  int           `json:"quantity"`
	UnitPrice httpx.Decimal `json:"unit_price"`
}

// orderBody converts an order. Items is an empty list for an order without lines, never null, as the document promises.
func orderBody(o domain.Order) Order {
	b := Order{OrderID: o.ID, UserID: o.UserID, Status: string(o.Status), Reason: o.Reason, Total: httpx.Decimal(o.Total.Decimal()),
		Currency: o.Total.Currency, Items: []Line{}, PaymentMethod: o.PaymentMethod, Email: o.Email, PaymentID: o.PaymentID,
		CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt}
	for _, l := range o.Lines {
		b.Items = append(b.Items, Line{SKU: l.SKU, Quantity: l.Quantity, UnitPrice: httpx.Decimal(l.UnitPrice.Decimal())})
	}
	return b
}

// Change is one entry of an order's timeline. Number is the order's version after the change; it is also the id of the event in
// a stream, with which a client resumes.
type Change struct {
	Number int64     `json:"number"`
	Event  string    `json:"event"`
	From   string    `json:"from,omitempty"`
	To     string    `json:"to"`
	Detail string    `json:"detail,omitempty"`
	At     time.Time `json:"at"`
}

func changeBody(c domain.Change) Change {
	return Change{Number: c.Number, Event: c.Event, From: string(c.From), To: string(c.To), Detail: c.Detail, At: c.At}
}

// Product is a product and its stock: available + reserved + sold = stocked.
type Product struct {
	SKU       string        `json:"sku"`
	Name      string        `json:"name"`
	Price     httpx.Decimal `json:"price"`
	Currency  string        `json:"currency"`
	Available int64         `json:"available"`
	Reserved  int64         `json:"reserved"`
	Sold      int64         `json:"sold"`
	Stocked   int64         `json:"stocked"`
}

func productBody(p domain.Product) Product {
	return Product{SKU: p.SKU, Name: p.Name, Price: httpx.Decimal(p.Price.Decimal()), Currency: p.Price.Currency,
		Available: p.Available, Reserved: p.Reserved, Sold: p.Sold, Stocked: p.Stocked}
}
