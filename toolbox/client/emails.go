package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The states of an email.
const (
	EmailPending = "pending"
	EmailSent    = "sent"
	EmailFailed  = "failed"
)

// Email is a notification as an operator sees it.
type Email struct {
	ID        int64     `json:"id"`
	OrderID   string    `json:"order_id,omitempty"`
	Kind      string    `json:"kind,omitempty"`
	UserID    string    `json:"user_id"`
	To        string    `json:"to"`
	Subject   string    `json:"subject"`
	Status    string    `json:"status"`
	Reason    string    `json:"reason,omitempty"`
	Attempts  int       `json:"attempts"`
	CreatedAt time.Time `json:"created_at"`
}

// Emails lists the emails in a state, newest first, up to limit (0 = all).
func (c *Client) Emails(ctx context.Context, status string, limit int) ([]Email, error) {
	query := url.Values{"status": {status}, "limit": {"500"}}
	return list[Email](ctx, c, call{service: Notifications, admin: true, method: http.MethodGet, path: "/emails", query: query}, limit)
}

// RetryEmail makes the service send a failed email again, in the background.
func (c *Client) RetryEmail(ctx context.Context, id int64) (Email, error) {
	var email Email
	_, err := c.do(ctx, call{service: Notifications, admin: true, method: http.MethodPost,
		path: "/emails/" + strconv.FormatInt(id, 10) + "/retry"}, &email)
	return email, err
}
