package testkit

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/platform/pgdb"
)

// Admin runs statements as the superuser, with the search_path of a pool of Database. A service's own role reads and writes rows, and
// may neither change nor analyze its tables.
func Admin(t testing.TB, pool *pgxpool.Pool, statements ...string) {
	t.Helper()
	cfg := pool.Config().ConnConfig
	shared.Lock()
	target := pgdb.In(shared.adminURL, cfg.Database)
	shared.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	path := pgx.Identifier{cfg.RuntimeParams["search_path"]}.Sanitize()
	for _, sql := range append([]string{"SET search_path = " + path}, statements...) {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %s", sql, err)
		}
	}
}
