package app_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/pkg/platform/rebuild/rebuildtest"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
	"pasdetrois/services/orders/internal/store"
)

// stories returns what the driver of a rebuild hands over.
func (w *topics) stories(state rebuild.State) []rebuild.Story {
	return rebuildtest.Stories(state, w.records)
}

// rebuild folds everything into the database.
func (w *topics) rebuild(db *pgxpool.Pool, write bool) (findings []rebuild.Finding) {
	w.t.Helper()
	state := store.NewRebuilder(db, domain.Policy{PaymentTimeout: paymentTimeout, RepublishAfter: republishAfter}, w.clock.Now)
	for stories := range slices.Chunk(w.stories(state), 50) {
		found, err := state.Fold(w.t.Context(), stories, write)
		require.NoError(w.t, err)
		findings = append(findings, found...)
	}
	found, err := state.Finish(w.t.Context(), write)
	require.NoError(w.t, err)
	return append(findings, found...)
}

// notUndecided returns the findings of all kinds but Undecided.
func notUndecided(findings []rebuild.Finding) (list []rebuild.Finding) {
	for _, f := range findings {
		if f.Kind != rebuild.Undecided {
			list = append(list, f)
		}
	}
	return list
}

// rows is everything that was told to the world. Deadlines are not, and the time of a note is when its message was handled.
func rows(t *testing.T, db *pgxpool.Pool) []string {
	t.Helper()
	return column(t, db, `SELECT concat_ws(' | ', order_id, user_id, total_minor, currency, payment_method, email, status, reason, stock, payment_id,
			late_payment, decided_by, version, created_at, status_at, trace_parent) FROM orders
		UNION ALL SELECT l::text FROM order_lines l
		UNION ALL SELECT concat_ws(' | ', order_id, number, event, status_from, status_to, detail, CASE WHEN status_from <> status_to THEN at END) FROM order_events
		UNION ALL SELECT concat_ws(' | ', sku, name, price_minor, currency, available, reserved, sold, stocked) FROM inventory ORDER BY 1`)
}

// written changes with every write.
func written(t *testing.T, db *pgxpool.Pool) []string {
	t.Helper()
	return column(t, db, `SELECT xmin || o::text FROM orders o UNION ALL SELECT xmin || l::text FROM order_lines l
		UNION ALL SELECT xmin || e::text FROM order_events e UNION ALL SELECT xmin || i::text FROM inventory i ORDER BY 1`)
}

func column(t *testing.T, db *pgxpool.Pool, sql string) []string {
	t.Helper()
	found, err := db.Query(t.Context(), sql)
	require.NoError(t, err)
	list, err := pgx.CollectRows(found, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

// backup copies the rows into an empty database.
func (w *topics) backup() *pgxpool.Pool {
	w.t.Helper()
	db := testkit.Database(w.t, migrations.Up).Pool(w.t, "orders")
	_, err := db.Exec(w.t.Context(), `DELETE FROM inventory`)
	require.NoError(w.t, err)
	for _, table := range []string{"inventory", "orders", "order_lines", "order_events"} {
		found, err := w.db.Query(w.t.Context(), `SELECT * FROM `+table)
		require.NoError(w.t, err)
		var names []string
		for _, f := range found.FieldDescriptions() {
			names = append(names, f.Name)
		}
		all, err := pgx.CollectRows(found, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
		require.NoError(w.t, err)
		_, err = db.CopyFrom(w.t.Context(), pgx.Identifier{table}, names, pgx.CopyFromRows(all))
		require.NoError(w.t, err)
	}
	return db
}

// load makes a world with scarce stock.
func load(t *testing.T, seed, n uint64) *topics {
	w := newTopics(setup(t), seed, n)
	for i, sku := range []string{"a", "b", "c"} {
		_, _, err := w.PutProduct(t.Context(), sku, "Name of "+sku, usd(int64(100+50*i)))
		require.NoError(t, err)
		_, _, err = w.Restock(t.Context(), sku, 12, nil, func(domain.Product) (app.Answer, error) { return app.Answer{}, nil })
		require.NoError(t, err)
		w.publish(w.took()...)
	}
	return w
}

// What was told stays: over nothing, over any earlier moment, and over an earlier moment on which the service decided anew.
func TestRebuildIsWhatWasTold(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	for n := range uint64(4) {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			t.Logf("seed %d, %d", seed, n)
			w := load(t, seed, n)
			const orders = 60
			var older *pgxpool.Pool
			for i := range 900 {
				if i == 300 {
					older = w.backup()
				}
				w.work(orders)
			}
			w.finish()
			told := rows(t, w.db)

			before := written(t, w.db)
			require.Empty(t, notUndecided(w.rebuild(w.db, true)), "over equal rows")
			require.Equal(t, before, written(t, w.db))

			empty := testkit.Database(t, migrations.Up).Pool(t, "orders")
			w.same(told, empty)
			w.same(told, older)

			// The same earlier moment. The service then decides each order anew, in reverse order.
			again := w.backup()
			testkit.Admin(t, again, `TRUNCATE orders, order_lines, order_events`)
			_, err := again.Exec(t.Context(), `UPDATE inventory SET reserved = 0, sold = 0, available = stocked`)
			require.NoError(t, err)
			other := newTopics(newWorld(again, w.clock), seed, n)
			other.world.t = t
			for _, r := range slices.Backward(w.records) {
				if _, ok := r.Event.(messages.OrderPlaced); ok {
					other.handle(r)
				}
			}
			for _, r := range w.records {
				switch r.Event.(type) {
				case messages.PaymentCaptured, messages.PaymentFailed, messages.PaymentRefunded:
					other.handle(r)
				}
			}
			require.NotEqual(t, told, rows(t, again), "the stock is scarce")
			w.same(told, again)
		})
	}
}

// same expects that a rebuild of the database makes it equal, that a dry run writes nothing, and a second run neither.
func (w *topics) same(told []string, db *pgxpool.Pool) {
	w.t.Helper()
	before := written(w.t, db)
	dry := notUndecided(w.rebuild(db, false))
	require.Equal(w.t, before, written(w.t, db), "a dry run writes nothing")
	found := notUndecided(w.rebuild(db, true))
	require.NotEmpty(w.t, found)
	w.diff(told, rows(w.t, db))
	require.Equal(w.t, fmt.Sprint(found), fmt.Sprint(dry), "a dry run finds the same")
	before = written(w.t, db)
	require.Empty(w.t, notUndecided(w.rebuild(db, true)))
	require.Equal(w.t, before, written(w.t, db), "a second run writes nothing")
}

func (w *topics) diff(want, got []string) {
	w.t.Helper()
	for _, line := range want {
		if !slices.Contains(got, line) {
			w.t.Errorf("- %s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			w.t.Errorf("+ %s", line)
		}
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}
