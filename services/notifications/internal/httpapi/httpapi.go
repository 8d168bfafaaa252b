// Package httpapi shows notifications. Only an operator changes something: a failed email is sent again. Notifications are
// requested on Kafka.
//
//	GET  /notifications        public  newest first, by user, by order, or both
//	GET  /emails               admin   newest first, by status
//	POST /emails/{id}/retry    admin   202; 404 without such an email; 409 unless it has failed
//
// When the database is away, each answers 503 with Retry-After.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
)

// Notifications are the use cases behind the public API. app.App implements it.
type Notifications interface {
	List(ctx context.Context, q app.Query) ([]domain.Notification, error)
}

// Notification is a notification in an answer. It is a type of its own, so that a change of the domain does not change the API.
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
	RequestedAt time.Time  `json:"requested_at" doc:"When the message that requested it was created"`
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
	httpx.Paging[httpx.Number]
}

const away = "the database does not answer"

// Register adds GET /notifications to the API.
func Register(api huma.API, notifications Notifications, log *slog.Logger) {
	failures := httpx.NewFailures(log, pgdb.IsUnavailable)
	httpx.Register(api, huma.Operation{OperationID: "list-notifications", Method: http.MethodGet, Path: "/notifications",
		Summary: "List notifications, newest first", Tags: []string{"notifications"}, Security: auth.Needs(auth.Read),
		Errors: []int{http.StatusBadRequest, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *listInput) (*httpx.PageOutput[Notification], error) {
			q := app.Query{UserID: string(in.UserID), OrderID: string(in.OrderID)}
			return list(ctx, notifications, q, in.Paging, body, failures)
		})
}

// list answers with one page of the notifications that q selects. It reads one more than the page has, which shows whether
// another page follows. Ids grow with time, so newer notifications appear on no later page.
func list[T any](ctx context.Context, from Notifications, q app.Query, p httpx.Paging[httpx.Number],
	show func(domain.Notification) T, failures *httpx.Failures) (*httpx.PageOutput[T], error) {
	ctx, cancel := httpx.Bounded(ctx)
	defer cancel()
	q.Limit, q.Before = p.Limit+1, int64(p.Cursor.Position)
	found, err := from.List(ctx, q)
	if err != nil {
		return nil, failures.Answer(err, away)
	}
	return httpx.NewPage(found, p.Limit, show, func(n domain.Notification) httpx.Number { return httpx.Number(n.ID) }), nil
}
