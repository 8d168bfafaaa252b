package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Payment is an order's payment, as the payments service shows it.
type Payment struct {
	OrderID   string      `json:"order_id"`
	UserID    string      `json:"user_id"`
	Status    string      `json:"status"`
	Amount    json.Number `json:"amount"`
	Currency  string      `json:"currency"`
	PaymentID string      `json:"payment_id,omitempty"`
	Reason    string      `json:"reason,omitempty"`
	Outside   bool        `json:"outside,omitempty"` // asked for by another producer than orders
	UpdatedAt time.Time   `json:"updated_at"`
}

// Payment returns the order's payment.
func (c *Client) Payment(ctx context.Context, orderID string) (Payment, error) {
	var p Payment
	_, err := c.do(ctx, call{service: Payments, method: http.MethodGet, path: "/payments/" + url.PathEscape(orderID)}, &p)
	return p, err
}

// Notification is one message of the notifications service, sent or about to be sent.
type Notification struct {
	OrderID string    `json:"order_id,omitempty"`
	UserID  string    `json:"user_id"`
	Kind    string    `json:"kind"`
	To      string    `json:"to"`
	Subject string    `json:"subject,omitempty"`
	Message string    `json:"message"`
	Channel string    `json:"channel"`
	Status  string    `json:"status"`
	SentAt  time.Time `json:"sent_at,omitzero"`
	// CreatedAt is when the service accepted the request for it.
	CreatedAt time.Time `json:"created_at,omitzero"`
}

// Notifications returns the notifications about an order, newest first.
func (c *Client) Notifications(ctx context.Context, orderID string) ([]Notification, error) {
	return list[Notification](ctx, c, call{service: Notifications, method: http.MethodGet, path: "/notifications",
		query: url.Values{"order_id": {orderID}}}, 0)
}

// NotificationPage is a part of the list of all notifications.
type NotificationPage struct {
	Items      []Notification `json:"items"`
	NextCursor string         `json:"next_cursor"` // of older notifications; "" = there are none
}

// RecentNotifications returns the newest 500 notifications of all orders, newest first, or those that follow a cursor.
func (c *Client) RecentNotifications(ctx context.Context, cursor string) (NotificationPage, error) {
	query := url.Values{"limit": {"500"}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	var p NotificationPage
	_, err := c.do(ctx, call{service: Notifications, method: http.MethodGet, path: "/notifications", query: query}, &p)
	return p, err
}
