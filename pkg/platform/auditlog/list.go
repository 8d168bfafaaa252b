package auditlog

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
)

// Kept is an entry as the table has it.
type Kept struct {
	ID        int64           `json:"id"`
	At        time.Time       `json:"at"`
	Actor     string          `json:"actor" example:"admin token 1f2e3d4c" doc:"user:NAME, admin token DIGITS, certificate:SUBJECT, tool:NAME, or anyone"`
	Operation string          `json:"operation" example:"consumers.pause"`
	Subject   string          `json:"subject" doc:"Id of the thing that was changed"`
	Details   json.RawMessage `json:"details"`
	Address   string          `json:"address,omitempty" doc:"IP address of the connection"`
}

// Filter selects entries to list.
type Filter struct {
	Subject string // "" = of every subject
	Before  int64  // only entries with a smaller id; 0 = all
	Limit   int
}

const columns = `id, at, actor, operation, subject, details, address`

const listSQL = `SELECT ` + columns + ` FROM audit_log WHERE ($1 = 0 OR id < $1) ORDER BY id DESC LIMIT $2`

const listSubjectSQL = `SELECT ` + columns + ` FROM audit_log WHERE subject = $3 AND ($1 = 0 OR id < $1) ORDER BY id DESC LIMIT $2`

func scan(row pgx.CollectableRow) (k Kept, err error) {
	err = row.Scan(&k.ID, &k.At, &k.Actor, &k.Operation, &k.Subject, &k.Details, &k.Address)
	k.At = k.At.UTC()
	return k, err
}

// List returns entries, newest first.
func (l *Log) List(ctx context.Context, f Filter) ([]Kept, error) {
	sql, args := listSQL, []any{f.Before, f.Limit}
	if f.Subject != "" {
		sql, args = listSubjectSQL, append(args, f.Subject)
	}
	found, err := pgdb.Collect(ctx, l.pool, scan, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return found, nil
}

type listInput struct {
	Subject httpx.Filter `query:"subject" doc:"Only entries about this id"`
	httpx.Paging[httpx.Number]
}

// Register adds GET /audit-log to the admin API.
func Register(api huma.API, l *Log, log *slog.Logger) {
	failures := httpx.NewFailures(log, pgdb.IsUnavailable)
	httpx.Register(api, huma.Operation{OperationID: "list-audit-log", Method: http.MethodGet, Path: "/audit-log",
		Summary: "List who changed what, newest first", Tags: []string{"audit log"},
		Errors: []int{http.StatusBadRequest, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *listInput) (*httpx.PageOutput[Kept], error) {
			ctx, cancel := httpx.Bounded(ctx)
			defer cancel()
			found, err := l.List(ctx, Filter{Subject: string(in.Subject), Before: int64(in.Cursor.Position), Limit: in.Limit + 1})
			if err != nil {
				return nil, failures.Answer(err, "the database does not answer")
			}
			return httpx.NewPage(found, in.Limit, func(k Kept) Kept { return k }, func(k Kept) httpx.Number { return httpx.Number(k.ID) }), nil
		})
}
