// Package httpapi answers what was sent to whom, and when. Nothing can be changed here: notifications are asked for on
// Kafka.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
)

const (
	// readTimeout keeps an answer short when the database hangs: the client hears 503 within two seconds.
	readTimeout = 1500 * time.Millisecond
	// retryAfter is what the client is told then, in seconds.
	retryAfter = 2
)

// Notifications is what the API needs of the use cases. app.App is one.
type Notifications interface {
	List(ctx context.Context, q app.Query) (app.Page, error)
}

// Notification is one as clients see it.
type Notification struct {
	OrderID     string     `json:"order_id,omitempty" doc:"Absent when it belongs to no order"`
	Kind        string     `json:"kind,omitempty" example:"confirmed" doc:"confirmed, rejected, failed, cancelled, fraud_alert, or a foreign producer's own word"`
	UserID      string     `json:"user_id"`
	To          string     `json:"to" doc:"The address"`
	Subject     string     `json:"subject"`
	Message     string     `json:"message"`
	Channel     string     `json:"channel" enum:"email"`
	Status      string     `json:"status" enum:"pending,sent,failed" doc:"pending: being sent, or waiting for the next attempt; failed: refused for good"`
	Reason      string     `json:"reason,omitempty" doc:"Why the latest attempt failed"`
	Attempts    int        `json:"attempts" doc:"Attempts to send it that have ended"`
	MessageID   string     `json:"message_id" doc:"The email's Message-ID"`
	RequestedAt time.Time  `json:"requested_at" doc:"When the message that asked for it was made"`
	CreatedAt   time.Time  `json:"created_at"`
	SentAt      *time.Time `json:"sent_at,omitempty" doc:"When the mail server took it; absent until then"`
}

func body(n domain.Notification) Notification {
	e := n.Email()
	b := Notification{OrderID: n.OrderID, Kind: n.Kind, UserID: n.UserID, To: n.To, Subject: e.Subject, Message: n.Message,
		Channel: n.Channel, Status: string(n.Status), Reason: n.Reason, Attempts: n.Attempts, MessageID: e.MessageID,
		RequestedAt: n.RequestedAt, CreatedAt: n.CreatedAt}
	if !n.SentAt.IsZero() {
		b.SentAt = &n.SentAt
	}
	return b
}

type listInput struct {
	UserID  httpx.Filter `query:"user_id" doc:"Only notifications of this user"`
	OrderID httpx.Filter `query:"order_id" doc:"Only notifications of this order"`
	Limit   httpx.Limit  `query:"limit"`
	Cursor  httpx.Number `query:"cursor" doc:"next_cursor of the page before"`
}

type listOutput struct {
	Body struct {
		Items      []Notification `json:"items"`
		NextCursor string         `json:"next_cursor,omitempty" doc:"Absent on the last page"`
	}
}

// Register adds GET /notifications to the API.
func Register(api huma.API, notifications Notifications, log *slog.Logger) {
	var unavailable httpx.Seldom
	httpx.Register(api, huma.Operation{OperationID: "list-notifications", Method: http.MethodGet, Path: "/notifications",
		Summary: "List notifications, newest first", Tags: []string{"notifications"},
		Errors: []int{http.StatusBadRequest, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *listInput) (*listOutput, error) {
			out := &listOutput{}
			out.Body.Items = []Notification{}
			q, err := query(in)
			if err != nil {
				return nil, err
			}
			ctx, cancel := context.WithTimeout(ctx, readTimeout)
			defer cancel()
			page, err := notifications.List(ctx, q)
			if err != nil {
				return nil, problem(err, log, &unavailable)
			}
			for _, n := range page.Items {
				out.Body.Items = append(out.Body.Items, body(n))
			}
			if page.Next != 0 {
				out.Body.NextCursor = strconv.FormatInt(page.Next, 10)
			}
			return out, nil
		})
}

func query(in *listInput) (app.Query, error) {
	limit, err := in.Limit.Number()
	if err != nil {
		return app.Query{}, err
	}
	if err := in.UserID.Check("query.user_id"); err != nil {
		return app.Query{}, err
	}
	if err := in.OrderID.Check("query.order_id"); err != nil {
		return app.Query{}, err
	}
	q := app.Query{UserID: string(in.UserID), OrderID: string(in.OrderID), Limit: limit}
	q.Before, err = in.Cursor.Value()
	return q, err
}

// problem is what the client hears. The cause of an error that it can do nothing about is for the log alone.
func problem(err error, log *slog.Logger, unavailable *httpx.Seldom) error {
	if pgdb.IsUnavailable(err) || errors.Is(err, context.DeadlineExceeded) {
		unavailable.Warn(log, "the database is not available", err)
		return httpx.Unavailable("the database does not answer", retryAfter)
	}
	log.Error("answering a request", "err", err)
	return huma.Error500InternalServerError("unexpected error")
}
