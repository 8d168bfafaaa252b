package arm

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

var Reserve = reserve

// ProblemsAfter returns the problems that the audit finds after a statement, which is rolled back.
func (r *Running) ProblemsAfter(ctx context.Context, sql string, orders, rejected int) (problems []string, err error) {
	conn, err := pgx.Connect(ctx, r.url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if _, err := tx.Exec(ctx, sql); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, auditSQL, orders, rejected)
	if err != nil {
		return nil, err
	}
	var what string
	var found, wanted int64
	_, err = pgx.ForEachRow(rows, []any{&what, &found, &wanted}, func() error {
		problems = append(problems, fmt.Sprintf("%s: %d instead of %d", what, found, wanted))
		return nil
	})
	return problems, err
}
