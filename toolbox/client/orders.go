package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"pasdetrois/pkg/messages"
)

// NewOrder is the body of POST /orders. Empty fields are left out, and the service chooses their values.
type NewOrder struct {
	OrderID       string      `json:"order_id,omitempty"`
	UserID        string      `json:"user_id"`
	Items         []NewItem   `json:"items,omitempty"`
	Total         json.Number `json:"total,omitempty"`
	Currency      string      `json:"currency,omitempty"`
	PaymentMethod string      `json:"payment_method,omitempty"`
	Email         string      `json:"email,omitempty"`
}

// NewItem is one line of a NewOrder.
type NewItem struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

// Order is an order as the orders service shows it.
type Order struct {
	OrderID       string      `json:"order_id"`
	UserID        string      `json:"user_id"`
	Status        string      `json:"status"`
	Reason        string      `json:"reason,omitempty"`
	Total         json.Number `json:"total"`
	Currency      string      `json:"currency"`
	Items         []Item      `json:"items,omitempty"`
	PaymentMethod string      `json:"payment_method,omitempty"`
	PaymentID     string      `json:"payment_id,omitempty"`
	Email         string      `json:"email,omitempty"`
	CreatedAt     time.Time   `json:"created_at"`
	UpdatedAt     time.Time   `json:"updated_at"`
}

// Item is one line of an Order.
type Item struct {
	SKU       string      `json:"sku"`
	Quantity  int         `json:"quantity"`
	UnitPrice json.Number `json:"unit_price,omitempty"`
}

// Settled reports whether the order is in a final status. A confirmed order can still be cancelled.
func (o Order) Settled() bool { return messages.Settled(o.Status) }

// Event is one entry of an order's timeline. Numbers begin at 1 and have no gaps.
type Event struct {
	Number int64     `json:"number"`
	Event  string    `json:"event"`
	From   string    `json:"from,omitempty"` // status before; equal to To when something was only noted
	To     string    `json:"to"`
	Detail string    `json:"detail,omitempty"`
	At     time.Time `json:"at"`
}

// PlaceOptions are the parts of POST /orders outside its body. Wait is how long the service may hold the answer until
// the order settles.
type PlaceOptions struct {
	IdempotencyKey string
	Wait           time.Duration // 0 = answer at once
}

// Place places an order. The Answer is the reply as it came, for callers that compare bytes or headers. After an
// *UnreachableError the order may exist; a second call with the same OrderID or IdempotencyKey is safe.
func (c *Client) Place(ctx context.Context, order NewOrder, opts PlaceOptions) (Order, Answer, error) {
	req := call{service: Orders, method: http.MethodPost, path: "/orders", body: order, query: waitQuery(opts.Wait), wait: opts.Wait}
	req.same = order.OrderID != ""
	if key := opts.IdempotencyKey; key != "" || !req.same && !c.once {
		req.header = map[string]string{"Idempotency-Key": cmp.Or(key, rand.Text())}
	}
	var placed Order
	answer, err := c.do(ctx, req, &placed)
	return placed, answer, err
}

// Order returns the order once it is settled, or as it is after wait.
func (c *Client) Order(ctx context.Context, id string, wait time.Duration) (Order, error) {
	var order Order
	_, err := c.do(ctx, call{service: Orders, method: http.MethodGet, path: "/orders/" + url.PathEscape(id),
		query: waitQuery(wait), wait: wait}, &order)
	return order, err
}

// Settled returns the order once it is settled. On a busy machine that may take longer than a service holds one answer, so the
// order is requested again until ctx ends.
func (c *Client) Settled(ctx context.Context, id string) (Order, error) {
	for {
		order, err := c.Order(ctx, id, 30*time.Second)
		if err != nil || order.Settled() || ctx.Err() != nil {
			return order, err
		}
	}
}

// OrdersOf returns all orders of a user, newest first.
func (c *Client) OrdersOf(ctx context.Context, userID string) ([]Order, error) {
	return list[Order](ctx, c, call{service: Orders, method: http.MethodGet, path: "/orders",
		query: url.Values{"user_id": {userID}}}, 0)
}

// Timeline returns the changes of the order, oldest first.
func (c *Client) Timeline(ctx context.Context, id string) ([]Event, error) {
	return list[Event](ctx, c, call{service: Orders, method: http.MethodGet, path: "/orders/" + url.PathEscape(id) + "/events"}, 0)
}

// Cancel asks for the order's cancellation and returns the order as it is then. It fails with 409 when it is too late.
func (c *Client) Cancel(ctx context.Context, id string) (Order, error) {
	var order Order
	_, err := c.do(ctx, call{service: Orders, method: http.MethodPost, path: "/orders/" + url.PathEscape(id) + "/cancel", same: true}, &order)
	return order, err
}

func waitQuery(wait time.Duration) url.Values {
	if wait <= 0 {
		return nil
	}
	return url.Values{"wait": {wait.String()}}
}
