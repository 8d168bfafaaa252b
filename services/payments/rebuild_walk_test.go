package payments_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/pkg/platform/rebuild/rebuildtest"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/payments"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/provider/simulated"
	"pasdetrois/services/payments/internal/store"
)

// replica is the use cases over one database.
type replica struct {
	db   *pgxpool.Pool
	uses *app.App
}

func newReplica(t *testing.T, now func() time.Time) *replica {
	t.Helper()
	db := testkit.Database(t, migrations.Up).Pool(t, "payments")
	limits, err := domain.ParseFraudLimits("900")
	require.NoError(t, err)
	return &replica{db: db, uses: app.New(app.Config{Store: store.New(db), Provider: simulated.New(simulated.Config{Books: db}), FraudLimits: limits,
		AlertEmail: "security@example.com", Metrics: app.NewMetrics(prometheus.NewRegistry()), Log: slog.New(slog.DiscardHandler), Now: now})}
}

// ticking returns a clock that goes on by a second with each look.
func ticking() func() time.Time {
	var mu sync.Mutex
	now := time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.UTC)
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(time.Second)
		return now
	}
}

// handle hands a batch of records to its use case until each is answered or parked, as the bus does.
func (r *replica) handle(t require.TestingT, records []rebuild.Record) []messages.Message {
	var published []messages.Message
	for tries := 0; len(records) > 0; tries++ {
		require.Less(t, tries, 200, "%v is never settled", records)
		var results []bus.Result
		if _, asks := records[0].Event.(messages.PaymentRequested); asks {
			results = r.uses.OnPaymentRequested(context.Background(), ins[messages.PaymentRequested](records))
		} else {
			results = r.uses.OnRefundRequested(context.Background(), ins[messages.RefundRequested](records))
		}
		var again []rebuild.Record
		for i, result := range results {
			published = append(published, result.Publish...)
			if result.Err != nil && fault.KindOf(result.Err) == fault.Transient {
				again = append(again, records[i])
			}
		}
		records = again
	}
	return published
}

func ins[E messages.Event](records []rebuild.Record) []bus.In[E] {
	batch := make([]bus.In[E], len(records))
	for i, r := range records {
		batch[i] = bus.In[E]{ID: r.ID, Event: r.Event.(E), Time: r.Time, Source: r.Source}
	}
	return batch
}

// topics is what stands in Kafka.
type topics struct{ records []rebuild.Record }

func (k *topics) publish(source string, all ...messages.Message) []rebuild.Record {
	first := len(k.records)
	for _, m := range all {
		m.Source = source
		k.records = append(k.records, rebuild.Record{Message: m, Topic: m.Event.Topic(), Offset: int64(len(k.records))})
	}
	return k.records[first:]
}

// stories returns what the driver of a rebuild hands over.
func (k *topics) stories(s rebuild.State) []rebuild.Story {
	return rebuildtest.Stories(s, k.records)
}

// The state in words, but for how often the provider was called: that is what the calls of the rebuilt service are counted by.
const (
	rowsSQL = `SELECT p::text FROM payments p WHERE order_id LIKE $1 || '%' UNION ALL
		SELECT concat_ws(' ', status, order_id, user_id, amount_minor, currency, payment_method, decline_reason, CASE WHEN status <> 'declined' THEN payment_id END)
		FROM provider_ledger WHERE order_id LIKE $1 || '%' ORDER BY 1`
	callsSQL = `SELECT coalesce(sum(charge_calls), 0)::int, coalesce(sum(refund_calls), 0)::int FROM provider_ledger WHERE order_id LIKE $1 || '%'`
)

func (r *replica) rows(t require.TestingT, prefix string) []string {
	return r.texts(t, rowsSQL, prefix)
}

// texts returns the rows of a query of one text for the orders with a prefix.
func (r *replica) texts(t require.TestingT, sql, prefix string) []string {
	rows, err := r.db.Query(context.Background(), sql, prefix)
	require.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return all
}

func (r *replica) calls(t require.TestingT, prefix string) (calls [2]int) {
	require.NoError(t, r.db.QueryRow(context.Background(), callsSQL, prefix).Scan(&calls[0], &calls[1]))
	return calls
}

// copyTo puts the database of another replica back to the present state of this one.
func (r *replica) copyTo(t require.TestingT, other *replica, prefix string, tables ...string) {
	for _, table := range tables {
		rows, err := r.db.Query(context.Background(), `SELECT row_to_json(x) FROM `+table+` x WHERE order_id LIKE $1 || '%'`, prefix)
		require.NoError(t, err)
		all, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		for _, row := range all {
			_, err := other.db.Exec(context.Background(), `INSERT INTO `+table+` SELECT * FROM json_populate_record(NULL::`+table+`, $1)`, row)
			require.NoError(t, err)
		}
	}
}

// walk draws records and has the replica handle them, some twice, some in one batch. What was decided at last may not have been
// published. It returns the records whose answers are missing.
func walk(t *rapid.T, r *replica, k *topics, prefix string, at func(step int)) (unheard [][]rebuild.Record) {
	steps := rapid.IntRange(1, 8).Draw(t, "steps")
	heard := rapid.IntRange(0, steps).Draw(t, "heard")
	if rapid.Bool().Draw(t, "all heard") {
		heard = steps
	}
	for step := range steps {
		at(step)
		refunds := rapid.IntRange(0, 2).Draw(t, "refunds") == 0
		var batch []messages.Message
		var sources []string
		for range rapid.IntRange(1, 3).Draw(t, "batch") {
			batch = append(batch, drawn(t, prefix, refunds, len(k.records)+len(batch)))
			sources = append(sources, rapid.SampledFrom([]string{messages.ServiceOrders, messages.ServiceOrders, ""}).Draw(t, "source"))
		}
		var records []rebuild.Record
		for i, m := range batch {
			records = append(records, k.publish(sources[i], m)...)
		}
		times := rapid.IntRange(0, 2).Draw(t, "times")
		if step < heard {
			for range max(times, 1) {
				k.publish(messages.ServicePayments, r.handle(t, records)...)
			}
			continue
		}
		if unheard = append(unheard, records); times > 0 && step == heard { // the answers of only one batch are lost at a time
			r.handle(t, records)
		}
	}
	at(steps)
	return unheard
}

func drawn(t *rapid.T, prefix string, refunds bool, n int) messages.Message {
	order := prefix + rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "order")
	user := rapid.SampledFrom([]string{"u1", "u1", "u1", "u2"}).Draw(t, "user")
	amount := usd(rapid.SampledFrom([]int64{4999, 4999, 4999, 5000, 95000}).Draw(t, "amount"))
	m := messages.Message{ID: fmt.Sprintf("%s%d", prefix, n), // producers' clocks are their own
		Time: time.Date(2026, 5, 1, rapid.IntRange(0, 23).Draw(t, "hour"), 0, n, 0, time.UTC)}
	if refunds {
		m.Event = messages.RefundRequested{OrderID: order, UserID: user, Amount: amount,
			Reason: rapid.SampledFrom([]string{"cancelled_by_user", "payment_timeout"}).Draw(t, "reason")}
	} else {
		m.Event = messages.PaymentRequested{OrderID: order, UserID: user, Amount: amount, PaymentMethod: rapid.SampledFrom(
			[]string{"", "pm_card_visa", "pm_card_chargeDeclined", "pm_card_flaky", "pm_nobody"}).Draw(t, "method")}
	}
	return m
}

// TestRebuiltPaymentsAreThoseThatWereDecided plays random histories through the use cases. Afterwards it puts the database back to
// nothing or to an earlier moment, and makes the state again.
func TestRebuiltPaymentsAreThoseThatWereDecided(t *testing.T) {
	t.Parallel()
	first, second := newReplica(t, ticking()), newReplica(t, ticking())
	state, err := payments.NewState(second.db, "simulated:")
	require.NoError(t, err)
	own, err := payments.NewState(first.db, "simulated:")
	require.NoError(t, err)
	world := 0
	rapid.Check(t, func(t *rapid.T) {
		world++
		prefix, k := fmt.Sprintf("w%d-", world), &topics{}
		back := rapid.IntRange(-1, 8).Draw(t, "back to")
		unheard := walk(t, first, k, prefix, func(step int) {
			if step == back {
				first.copyTo(t, second, prefix, "payments", "provider_ledger")
			}
		})
		before := first.calls(t, prefix)
		findings, err := own.Fold(context.Background(), k.stories(own), true)
		require.NoError(t, err)
		for _, f := range findings {
			require.Equal(t, rebuild.Undecided, f.Kind, "over the true state there is nothing else to say: %+v", f)
		}

		findings, err = state.Fold(context.Background(), k.stories(state), true)
		require.NoError(t, err)
		undecided := 0
		for _, f := range findings {
			require.NotEqual(t, rebuild.Unknown, f.Kind, "%+v", f)
			if f.Kind == rebuild.Undecided {
				undecided++
			}
		}
		again, err := state.Fold(context.Background(), k.stories(state), true)
		require.NoError(t, err)
		require.Len(t, again, undecided, "nothing is written twice")
		if len(unheard) == 0 {
			require.Zero(t, undecided)
			require.Equal(t, first.rows(t, prefix), second.rows(t, prefix))
		}
		// What nobody was told is decided by the service, which reads its records again, here and there.
		for _, records := range unheard {
			first.handle(t, records)
			second.handle(t, records)
		}
		require.Equal(t, statuses(t, first, prefix), statuses(t, second, prefix))
		// A full redelivery has no effect.
		settled, calls := second.rows(t, prefix), second.calls(t, prefix)
		for _, r := range k.records {
			if r.Source != messages.ServicePayments {
				second.handle(t, []rebuild.Record{r})
			}
		}
		require.Equal(t, settled, second.rows(t, prefix))
		require.Equal(t, calls, second.calls(t, prefix), "nobody is charged or refunded again")
		if len(unheard) == 0 {
			require.Equal(t, before, first.calls(t, prefix))
		}
	})
}

const statusesSQL = `SELECT concat_ws(' ', order_id, user_id, amount_minor, payment_method, status, reason, outside) FROM payments
WHERE order_id LIKE $1 || '%' ORDER BY 1`

func statuses(t require.TestingT, r *replica, prefix string) []string {
	return r.texts(t, statusesSQL, prefix)
}
