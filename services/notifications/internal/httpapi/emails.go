package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
)

// Emails are the use cases behind the admin API. app.App implements it. Retry returns app.ErrNotFound, app.ErrNotFailed
// or app.ErrEmptied.
type Emails interface {
	Notifications
	Retry(ctx context.Context, id int64) (domain.Notification, error)
}

// Email is a notification with its id, by which an operator retries it.
type Email struct {
	ID int64 `json:"id"`
	Notification
}

func emailBody(n domain.Notification) Email { return Email{n.ID, body(n)} }

type emailsInput struct {
	Status string `query:"status" enum:"pending,sent,failed" default:"failed"`
	httpx.Paging[httpx.Number]
}

type emailOutput struct{ Body Email }

// RegisterAdmin adds the operations on emails that failed. They belong on the admin server, because a retry sends mail.
func RegisterAdmin(api huma.API, emails Emails, log *slog.Logger) {
	failures := httpx.NewFailures(log, pgdb.IsUnavailable)
	tags := []string{"emails"}
	httpx.Register(api, huma.Operation{OperationID: "list-emails", Method: http.MethodGet, Path: "/emails", Tags: tags,
		Summary: "List emails by their state, newest first", Errors: []int{http.StatusBadRequest, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *emailsInput) (*httpx.PageOutput[Email], error) {
			return list(ctx, emails, app.Query{Status: domain.Status(in.Status)}, in.Paging, emailBody, failures)
		})
	httpx.Register(api, huma.Operation{OperationID: "retry-email", Method: http.MethodPost, Path: "/emails/{id}/retry", Tags: tags,
		Summary: "Send a failed email again", DefaultStatus: http.StatusAccepted,
		Description: "The email becomes pending and is sent as if it was new. Repeating the call changes nothing.",
		Errors:      []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *struct {
			ID string `path:"id" pattern:"^[1-9][0-9]{0,17}$"`
		}) (*emailOutput, error) {
			id, err := strconv.ParseInt(in.ID, 10, 64)
			if err != nil {
				return nil, err // the pattern allows int64 only
			}
			ctx, cancel := httpx.Bounded(ctx)
			defer cancel()
			n, err := emails.Retry(ctx, id)
			switch {
			case errors.Is(err, app.ErrNotFound):
				return nil, huma.Error404NotFound("there is no email " + in.ID)
			case errors.Is(err, app.ErrNotFailed):
				return nil, huma.Error409Conflict("the email has not failed: it was sent, or is waiting to be sent")
			case errors.Is(err, app.ErrEmptied):
				return nil, huma.Error409Conflict("the text and the address of the email were removed, because their time was over")
			case err != nil:
				return nil, failures.Answer(err, away)
			}
			return &emailOutput{emailBody(n)}, nil
		})
}
