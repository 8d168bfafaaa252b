package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
)

// Emails is what the admin API needs of the use cases. app.App is one.
type Emails interface {
	Notifications
	Retry(ctx context.Context, id int64) (domain.Notification, error)
}

// Email is a notification as an operator sees it.
type Email struct {
	ID int64 `json:"id"`
	Notification
}

type emailsInput struct {
	Status string       `query:"status" enum:"pending,sent,failed" default:"failed"`
	Limit  httpx.Limit  `query:"limit"`
	Cursor httpx.Number `query:"cursor" doc:"next_cursor of the page before"`
}

type emailsOutput struct {
	Body struct {
		Items      []Email `json:"items"`
		NextCursor string  `json:"next_cursor,omitempty" doc:"Absent on the last page"`
	}
}

type emailOutput struct{ Body Email }

// RegisterAdmin adds the operations on emails that failed.
func RegisterAdmin(api huma.API, emails Emails, log *slog.Logger) {
	var unavailable httpx.Seldom
	tags := []string{"emails"}
	httpx.Register(api, huma.Operation{OperationID: "list-emails", Method: http.MethodGet, Path: "/emails", Tags: tags,
		Summary: "List emails by their state, newest first", Errors: []int{http.StatusBadRequest, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *emailsInput) (*emailsOutput, error) {
			q, err := query(&listInput{Limit: in.Limit, Cursor: in.Cursor})
			if err != nil {
				return nil, err
			}
			switch q.Status = domain.Status(in.Status); q.Status {
			case domain.Pending, domain.Sent, domain.Failed:
			default:
				return nil, httpx.BadParam("query.status", "must be pending, sent or failed")
			}
			ctx, cancel := context.WithTimeout(ctx, readTimeout)
			defer cancel()
			page, err := emails.List(ctx, q)
			if err != nil {
				return nil, problem(err, log, &unavailable)
			}
			out := &emailsOutput{}
			out.Body.Items = make([]Email, len(page.Items))
			for i, n := range page.Items {
				out.Body.Items[i] = Email{n.ID, body(n)}
			}
			if page.Next != 0 {
				out.Body.NextCursor = strconv.FormatInt(page.Next, 10)
			}
			return out, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "retry-email", Method: http.MethodPost, Path: "/emails/{id}/retry", Tags: tags,
		Summary: "Send a failed email again", DefaultStatus: http.StatusAccepted,
		Description: "The email becomes pending and is sent as if it was new. Repeating the call changes nothing.",
		Errors:      []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *struct {
			ID string `path:"id" pattern:"^[1-9][0-9]{0,17}$"`
		}) (*emailOutput, error) {
			id, err := strconv.ParseInt(in.ID, 10, 64)
			if err != nil || id < 1 {
				return nil, httpx.BadParam("path.id", "must be the id of an email, a number from 1 on")
			}
			ctx, cancel := context.WithTimeout(ctx, readTimeout)
			defer cancel()
			n, err := emails.Retry(ctx, id)
			switch {
			case errors.Is(err, app.ErrNotFound):
				return nil, huma.Error404NotFound("there is no email " + in.ID)
			case errors.Is(err, app.ErrNotFailed):
				return nil, huma.Error409Conflict("the email has not failed: it was sent, or is going to be")
			case err != nil:
				return nil, problem(err, log, &unavailable)
			}
			return &emailOutput{Email{n.ID, body(n)}}, nil
		})
}
