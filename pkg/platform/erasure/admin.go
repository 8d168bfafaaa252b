package erasure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/auditlog"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
)

const (
	// within bounds one erasure: each of its statements has the limit of its session.
	within = 2 * time.Minute
	// writeWithin bounds the time for which the client of an export reads nothing.
	writeWithin = 30 * time.Second
	ndjson      = "application/x-ndjson"
)

// Line is one line of an export. The last one has the kind End and the counts, so a client sees that nothing is missing.
type Line struct {
	Kind   string `json:"kind"`
	Row    any    `json:"row,omitempty"`
	Counts Counts `json:"counts,omitempty"`
}

// End is the kind of an export's last line.
const End = "end"

type userInput struct {
	User string `path:"user" minLength:"1" maxLength:"128"`
}

type eraseInput struct {
	User   string `path:"user" minLength:"1" maxLength:"128"`
	DryRun bool   `query:"dry_run" doc:"Count, and change nothing"`
}

type eraseOutput struct{ Body Result }

// RegisterAdmin adds GET /users/{user}/data and POST /users/{user}/erase to the admin API.
func RegisterAdmin(api huma.API, e *Eraser, log *slog.Logger) {
	failures := httpx.NewFailures(log, pgdb.IsUnavailable)
	tags := []string{"users"}
	httpx.Register(api, huma.Operation{OperationID: "export-user", Method: http.MethodGet, Path: "/users/{user}/data", Tags: tags,
		Summary: "Everything that this service keeps about a user, one JSON object a line", Errors: []int{http.StatusBadRequest, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *userInput) (*huma.StreamResponse, error) {
			if !httpx.Storable(in.User) {
				return nil, huma.Error404NotFound("there is no such user")
			}
			attempt, cancel := httpx.Bounded(ctx)
			defer cancel()
			if err := auditlog.Add(attempt, e.pool, auditlog.Entry{Operation: "user.export", Subject: in.User}); err != nil {
				return nil, failures.Answer(err, "the database does not answer")
			}
			return &huma.StreamResponse{Body: func(hc huma.Context) { e.stream(hc, in.User, log) }}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "erase-user", Method: http.MethodPost, Path: "/users/{user}/erase", Tags: tags,
		Summary:     "Replace a user by a pseudonym in this service",
		Description: "One transaction. It may be repeated: where nothing is left, nothing changes. 409 names what must end before, or the setting that is missing.",
		Errors:      []int{http.StatusBadRequest, http.StatusConflict, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *eraseInput) (*eraseOutput, error) {
			if !httpx.Storable(in.User) {
				return nil, huma.Error404NotFound("there is no such user")
			}
			ctx, cancel := context.WithTimeout(ctx, within)
			defer cancel()
			done, err := e.Erase(ctx, in.User, in.DryRun)
			var open *UnfinishedError
			switch {
			case errors.As(err, &open):
				return nil, huma.Error409Conflict(open.Error() + "; then erase the user")
			case errors.Is(err, ErrNoKey):
				return nil, huma.Error409Conflict(err.Error())
			case err != nil:
				return nil, failures.Answer(err, "the database does not answer")
			}
			return &eraseOutput{Body: done}, nil
		})
}

// stream writes an export. After an error the last line is missing, and the log has the reason.
func (e *Eraser) stream(hc huma.Context, user string, log *slog.Logger) {
	w, ok := hc.BodyWriter().(http.ResponseWriter)
	if !ok {
		return
	}
	hc.SetHeader("Content-Type", ndjson)
	hc.SetHeader("Cache-Control", "no-store")
	conn, encoder, counts := http.NewResponseController(w), json.NewEncoder(w), Counts{}
	encoder.SetEscapeHTML(false)
	put := func(kind string, row any) error {
		counts[kind]++
		_ = conn.SetWriteDeadline(time.Now().Add(writeWithin)) // replaces the server's deadline for a whole answer
		return encoder.Encode(Line{Kind: kind, Row: row})
	}
	if err := e.Export(hc.Context(), user, put); err != nil {
		log.Warn("an export of a user ended early", "err", err)
		return
	}
	_ = encoder.Encode(Line{Kind: End, Counts: counts}) // the client may be gone
}

const auditOfSQL = `SELECT to_jsonb(l) FROM audit_log l WHERE actor = 'user:' || $1 OR operation LIKE 'user.%' AND subject = $1 ORDER BY id`

// Export calls put with everything that the service keeps about a user. A letter counts when the user's id or an address that the
// service wrote to is in it.
func (e *Eraser) Export(ctx context.Context, user string, put func(kind string, row any) error) error {
	p := NewPerson(user)
	err := e.data.Export(ctx, user, func(kind string, row any) error {
		if r, ok := row.(Row); ok {
			p.Writes(r.Mail...)
		}
		return put(kind, row)
	})
	if err != nil {
		return err
	}
	entries, err := pgdb.Collect(ctx, e.pool, pgx.RowTo[[]byte], auditOfSQL, user)
	if err != nil {
		return fmt.Errorf("export the audit log: %w", err)
	}
	for _, entry := range entries {
		if err := put("audit_log_entry", Row{JSON: entry}); err != nil {
			return err
		}
	}
	return deadletter.Each(ctx, e.pool, func(l deadletter.Letter) error {
		if !p.InLetter(l) {
			return nil
		}
		return put("dead_letter", deadletter.Shown(l))
	})
}
