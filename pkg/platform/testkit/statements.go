package testkit

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/platform/pgdb"
)

// Statements are the statements that a pool has run. Two requests with the same statements and results take the same way, on any
// machine under any load; their times would only hint at that.
type Statements struct {
	mu  sync.Mutex
	run []string
}

// Observed opens a pool like DB.Pool, whose statements are kept.
func (d *DB) Observed(t testing.TB, service string) (*pgxpool.Pool, *Statements) {
	t.Helper()
	s := &Statements{}
	pool, err := pgdb.Open(pgdb.Config{URL: d.URL(service), Schema: service, AppName: "test", Tracer: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closePool(t, pool) })
	return pool, s
}

// Take returns the statements since the last call, each with its result: SELECT and the number of rows, for example.
func (s *Statements) Take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	run := s.run
	s.run = nil
	return run
}

func (s *Statements) add(sql string, result interface{ String() string }) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = append(s.run, sql+"\n-> "+result.String())
}

type statementKey struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (*Statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, statementKey{}, data.SQL)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (s *Statements) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	sql, _ := ctx.Value(statementKey{}).(string)
	s.add(sql, data.CommandTag)
}

// TraceBatchStart implements pgx.BatchTracer.
func (*Statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (s *Statements) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	s.add(data.SQL, data.CommandTag)
}

// TraceBatchEnd implements pgx.BatchTracer.
func (*Statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}
