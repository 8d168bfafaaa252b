//go:build pooler

package pooler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

// system is a stack whose services reach the database through PgBouncer only.
type system struct {
	*stack.Stack
	admin *pgxpool.Pool // past PgBouncer
	log   output
}

func setup(t *testing.T) *system {
	t.Helper()
	url := testkit.Database(t, migrations.Up).AdminURL
	address, _ := start(t, url)
	s := &system{}
	cfg := stack.Config{DatabaseURL: url, Pooler: address, Log: slog.New(slog.NewTextHandler(&s.log, nil)), TopicPrefix: testkit.Prefix(t)}
	cfg.GroupPrefix = cfg.TopicPrefix
	if given := os.Getenv("KAFKA_BROKERS"); given != "" {
		cfg.Brokers = strings.Split(given, ",")
	}
	var err error
	s.Stack, err = stack.Start(t.Context(), cfg)
	require.NoError(t, err, "%s", s.log.String())
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	s.admin, err = pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(s.admin.Close)
	return s
}

// Everything that `pas demo` shows, and a crowd whose transactions share a few sessions. The auditor comes through PgBouncer too.
func TestAllOfItWorksBehindPgBouncer(t *testing.T) {
	s := setup(t)
	env := scenario.On(s.Stack)
	env.Patience = 60 * time.Second
	for _, one := range scenario.All() {
		t.Run(one.Name, func(t *testing.T) {
			require.NoError(t, one.Run(t.Context(), env), "%s", s.log.String())
		})
	}
	const customers, each = 16, 15
	var crowd sync.WaitGroup
	for i := range customers {
		crowd.Go(func() {
			for j := range each {
				id := fmt.Sprintf("crowd-%d-%d", i, j)
				_, answer, err := s.Client().Place(t.Context(), client.NewOrder{OrderID: id, UserID: "u", Total: "12.00"}, client.PlaceOptions{Wait: 30 * time.Second})
				if err != nil {
					t.Errorf("%s: %v: %v", id, answer, err)
				}
			}
		})
	}
	crowd.Wait()
	testkit.Eventually(t, func() error {
		report, err := scenario.On(s.Stack).Books.Audit(t.Context())
		if err == nil && !report.Passed() {
			err = fmt.Errorf("%+v", report)
		}
		return err
	})
	var settled int
	require.NoError(t, s.admin.QueryRow(t.Context(), `SELECT count(*) FROM orders.audit_orders WHERE order_id LIKE 'crowd-%' AND status = 'confirmed'`).Scan(&settled))
	require.Equal(t, customers*each, settled)
	require.NotContains(t, s.log.String(), "prepared statement")
	require.NotContains(t, s.log.String(), "level=ERROR")
}

func TestAMessageLeftInTheOutboxIsPublishedAfterARestartBehindPgBouncer(t *testing.T) {
	s := setup(t)
	const left = `INSERT INTO orders.outbox (topic, key, value, headers) VALUES ($1, 'k', '{}', '[]')`
	gone := func() {
		t.Helper()
		testkit.Eventually(t, func() error {
			var n int
			if err := s.admin.QueryRow(t.Context(), `SELECT count(*) FROM orders.audit_outbox`).Scan(&n); err != nil || n > 0 {
				return errors.Join(fmt.Errorf("%d messages are left in the outbox", n), err)
			}
			return nil
		})
	}
	topic := "order-failures"
	for range 2 {
		_, err := s.admin.Exec(t.Context(), left, topic)
		require.NoError(t, err)
		gone()
		require.NoError(t, s.StopService(t.Context(), client.Orders))
		var locks int
		require.NoError(t, s.admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&locks))
		require.Zero(t, locks, "PgBouncer's sessions live on")
		_, err = s.admin.Exec(t.Context(), left, topic)
		require.NoError(t, err)
		require.NoError(t, s.StartService(t.Context(), client.Orders))
		gone()
	}
}

func TestStatementsArePreparedWherePgBouncerFollowsThem(t *testing.T) {
	db := testkit.Database(t, migrations.Up)
	require.NoError(t, migrations.Up(t.Context(), db.AdminURL)) // a copied database has no settings of roles
	address, follows := start(t, db.AdminURL)
	url := through(t, db.URL("orders"), address)
	open := func(change string) (*pgxpool.Pool, error) {
		pool, err := pgdb.Open(pgdb.Config{URL: url + change, Schema: "orders", AppName: "test", MaxConns: 4})
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		return pool, pgdb.Wait(t.Context(), pool, slog.New(slog.DiscardHandler))
	}
	pool, err := open("")
	require.NoError(t, err)
	const many = 200
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range many {
				err := pgdb.InTx(t.Context(), pool, func(ctx context.Context, tx *pgdb.Tx) error {
					var batch pgx.Batch
					batch.Queue(`SELECT count(*) FROM audit_orders WHERE order_id = $1`, fmt.Sprint(i%7))
					return tx.Finish(ctx, &batch)
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	var prepared int
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_prepared_statements`).Scan(&prepared))
	require.Equal(t, follows, prepared > 0)

	_, err = open("&default_query_exec_mode=cache_statement")
	var unusable *pgdb.UnusableError
	if follows {
		require.NoError(t, err)
	} else {
		require.ErrorAs(t, err, &unusable)
	}
	require.ErrorAs(t, migrations.Up(t.Context(), through(t, db.AdminURL, address)), &unusable)
}
