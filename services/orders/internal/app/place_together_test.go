package app_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

// Orders that come at the same moment share transactions, and one that breaks a rule fails alone.
func TestOrdersThatComeTogetherAreTakenTogether(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("a", 500, 1000)
	hold, release := w.holdOrders("held-1", "held-2")

	var callers sync.WaitGroup
	placeBy := func(user string, p domain.Placement, key string, check func(app.Placed, error)) {
		callers.Go(func() {
			var k *app.Idempotency
			if key != "" {
				k = &app.Idempotency{User: user, Key: key, RequestHash: []byte(p.OrderID)}
			}
			placed, err := w.PlaceOrder(context.Background(), p, k, func(p app.Placed) (app.Answer, error) {
				return app.Answer{Status: 202, Body: []byte(p.Order.ID)}, nil
			})
			check(placed, err)
		})
	}
	place := func(p domain.Placement, key string, check func(app.Placed, error)) { placeBy("", p, key, check) }
	order := func(id, sku string) domain.Placement {
		return domain.Placement{OrderID: id, UserID: "u", Lines: []domain.Line{{SKU: sku, Quantity: 1}}}
	}
	fine := func(placed app.Placed, err error) {
		if err != nil || !placed.Created {
			t.Errorf("order %s: created %v, %v", placed.Order.ID, placed.Created, err)
		}
	}
	fails := func(want error) func(app.Placed, error) {
		return func(_ app.Placed, err error) {
			if !errors.Is(err, want) {
				t.Errorf("expected %v, got %v", want, err)
			}
		}
	}
	// Both workers are held up, so that all others wait together.
	place(order("held-1", "a"), "", fine)
	hold(1)
	place(order("held-2", "a"), "", fine)
	hold(2)
	for i := range 100 {
		place(order(fmt.Sprintf("o-%d", i), "a"), fmt.Sprintf("key-%d", i), fine)
	}
	place(order("wrong", "nothing"), "key-wrong", fails(domain.ErrUnknownSKU))
	var twice [2]app.Placed
	for i := range twice {
		place(order("twice", "a"), "", func(placed app.Placed, err error) {
			if twice[i] = placed; err != nil {
				t.Error(err)
			}
		})
	}
	var busy, taken sync.Map
	for i := range 2 {
		place(order(fmt.Sprintf("same-key-%d", i), "a"), "same-key", func(_ app.Placed, err error) {
			if errors.Is(err, app.ErrKeyBusy) || errors.Is(err, app.ErrKeyReused) {
				busy.Store(i, true)
			} else if err == nil {
				taken.Store(i, true)
			}
		})
	}
	for _, user := range []string{"ada", "bob"} {
		placeBy(user, order("of-"+user, "a"), "same-key", fine) // a key belongs to its user
	}
	release()
	callers.Wait()

	require.NotEqual(t, twice[0].Created, twice[1].Created, "one of two equal orders made it")
	require.Equal(t, 1, size(&busy))
	require.Equal(t, 1, size(&taken))
	require.Equal(t, 106, w.count(`SELECT count(*) FROM orders`))
	require.Equal(t, 106, w.count(`SELECT count(*) FROM outbox`))
	require.Equal(t, 103, w.count(`SELECT count(*) FROM idempotency_keys`), "a refused request leaves its key free")
	require.Less(t, w.count(`SELECT count(DISTINCT xmin::text) FROM orders`), 52, "many orders of one transaction")
}

func size(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

func (w *world) count(sql string) (n int) {
	w.t.Helper()
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), sql).Scan(&n))
	return n
}

// holdOrders locks the names of orders that do not exist. hold waits until n transactions wait for such a lock.
func (w *world) holdOrders(ids ...string) (hold func(n int), release func()) {
	w.t.Helper()
	tx, err := w.db.Begin(w.t.Context())
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	for _, id := range ids {
		_, err = tx.Exec(w.t.Context(), `SELECT pg_advisory_xact_lock(hashtextextended('pasdetrois.orders.order:' || $1, 0))`, id)
		require.NoError(w.t, err)
	}
	hold = func(n int) {
		w.t.Helper()
		testkit.Eventually(w.t, func() error {
			var waiting int
			err := w.db.QueryRow(w.t.Context(), `SELECT count(*) FROM pg_locks
				WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`).Scan(&waiting)
			if err == nil && waiting < n {
				err = fmt.Errorf("%d transactions are held up", waiting)
			}
			return err
		})
	}
	return hold, func() { require.NoError(w.t, tx.Rollback(w.t.Context())) }
}
