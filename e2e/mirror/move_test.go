//go:build mirror

package mirror

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

const (
	orders  = 40 // before the move; a quarter of that after it
	notices = 15 // plain notifications, without an id of their sender
	broken  = 11 // records that are no messages
	letters = 15 // orders and payments both park the four of them that stand in payments
)

// move is a system, its two clusters, and what was asked of it.
type move struct {
	*testing.T
	first, second *cluster
	adminURL      string
	placed        []string
	emails        []stack.Email // of services that have stopped
}

func (m *move) run(c *cluster, environ map[string]string) *stack.Stack {
	m.Helper()
	s, err := stack.Start(m.Context(), stack.Config{DatabaseURL: m.adminURL, Brokers: []string{c.brokers}, Environ: environ})
	require.NoError(m, err)
	m.Cleanup(func() { _ = s.Stop() })
	return s
}

func (m *move) place(s *stack.Stack, n int) {
	m.Helper()
	for range n {
		id := fmt.Sprintf("moved-%03d", len(m.placed))
		order := client.NewOrder{OrderID: id, UserID: "ada", Total: "5.00", Email: id + "@example.com"}
		_, _, err := s.Client().Place(m.Context(), order, client.PlaceOptions{})
		require.NoError(m, err)
		m.placed = append(m.placed, order.OrderID)
	}
}

func (m *move) eventually(what string, is func(ctx context.Context) error) {
	m.Helper()
	ctx, cancel := context.WithTimeout(m.Context(), 3*time.Minute)
	defer cancel()
	for {
		err := is(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			require.NoError(m, err, what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// told counts the emails of each order and kind, and of each plain notification.
func (m *move) told(s *stack.Stack) map[string]int {
	told := map[string]int{}
	for _, e := range append(slices.Clone(m.emails), s.Emails()...) {
		told[e.OrderID+e.Kind+" "+e.Message]++
	}
	return told
}

const booksSQL = `
SELECT (SELECT count(*) FROM orders.audit_orders WHERE status = 'confirmed'),
  (SELECT count(*) FROM payments.audit_provider_ledger WHERE status = 'charged'),
  (SELECT coalesce(max(charge_calls), 0) FROM payments.audit_provider_ledger),
  (SELECT count(*) FROM notifications.audit_notifications WHERE status = 'sent'),
  (SELECT count(*) FROM orders.audit_dead_letters) + (SELECT count(*) FROM payments.audit_dead_letters) + (SELECT count(*) FROM notifications.audit_dead_letters),
  (SELECT count(*) FROM orders.audit_held_messages)`

// books are what the databases count.
type books struct{ Confirmed, Charged, Asked, Sent, Letters, Held int }

func (m *move) are(want books) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, m.adminURL)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		rows, err := conn.Query(ctx, booksSQL)
		if err != nil {
			return err
		}
		is, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[books])
		if err == nil && is != want {
			err = fmt.Errorf("%+v, not %+v", is, want)
		}
		return err
	}
}

// copied: all that stands in the first cluster stands in the second.
func (m *move) copied(atLeast int) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		from, err := m.first.contents(ctx)
		if err != nil {
			return err
		}
		to, err := m.second.contents(ctx)
		if err != nil {
			return err
		}
		there := 0
		for c := range from {
			if to[c] > 0 {
				there++
			}
		}
		if there < min(atLeast, len(from)) {
			return fmt.Errorf("%d of %d records were copied", there, len(from))
		}
		return nil
	}
}

// all is more than there are records.
const all = 1 << 30

// handled: the services have handled all that is in the second cluster.
func (m *move) handled(s *stack.Stack) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		ends, err := m.second.admin.ListCommittedOffsets(ctx, topics()...)
		if err != nil {
			return err
		}
		for _, service := range messages.Services() {
			consumers, err := s.Client().Consumers(ctx, service)
			if err != nil {
				return err
			}
			for _, g := range consumers.Groups {
				at, err := m.second.admin.FetchOffsets(ctx, g.Group)
				if err != nil {
					return err
				}
				for partition, end := range ends[g.KafkaTopic] {
					if o, _ := at.Lookup(g.KafkaTopic, partition); end.Offset > 0 && o.At < end.Offset {
						return fmt.Errorf("%s is at %d of %d in partition %d", g.Group, o.At, end.Offset, partition)
					}
				}
			}
		}
		return nil
	}
}

// again counts the offsets that the services read again: those that the copied groups have not passed.
func (m *move) again() (again, of int64) {
	ctx := m.Context()
	ends, err := m.second.admin.ListCommittedOffsets(ctx, topics()...)
	require.NoError(m, err)
	groups, err := m.second.admin.ListGroups(ctx)
	require.NoError(m, err)
	passed := map[string]map[int32]int64{}
	for _, g := range groups.Groups() {
		at, err := m.second.admin.FetchOffsets(ctx, g)
		require.NoError(m, err)
		at.Each(func(o kadm.OffsetResponse) {
			if passed[o.Topic] == nil {
				passed[o.Topic] = map[int32]int64{}
			}
			passed[o.Topic][o.Partition] = max(passed[o.Topic][o.Partition], o.At)
		})
	}
	ends.Each(func(o kadm.ListedOffset) {
		of += o.Offset
		again += o.Offset - passed[o.Topic][o.Partition]
	})
	return again, of
}

// discard hands all dead letters to nobody, so that the audit finds none that waits.
func (m *move) discard(s *stack.Stack) {
	m.Helper()
	for _, service := range messages.Services() {
		all, err := s.Client().DeadLetters(m.Context(), service, client.LetterAll, 100)
		require.NoError(m, err)
		for _, l := range all {
			_, err := s.Client().DiscardDeadLetter(m.Context(), service, l.ID)
			require.NoError(m, err)
		}
	}
}

// TestMovingToAnotherClusterRepeatsNothingAndLosesNothing: MirrorMaker 2 of Kafka 4.3.1 with IdentityReplicationPolicy copies
// the topics while orders flow, is killed once and copies some records twice; then the services move to the copy, where
// most of it is read again from other offsets. Before, 15 plain notifications became 45 emails, 11 dead letters 22.
func TestMovingToAnotherClusterRepeatsNothingAndLosesNothing(t *testing.T) {
	m := &move{T: t, first: startCluster(t, 26000), second: startCluster(t, 27500), adminURL: testkit.Database(t, migrations.Up).AdminURL}
	began := time.Now()
	say := func(what string) { t.Logf("%5.1f s: %s", time.Since(began).Seconds(), what) }
	s := m.run(m.first, map[string]string{"HELD_TIMEOUT": "1h"})
	mm := newMirror(t, m.first, m.second)
	mm.start(t)

	m.place(s, orders/2)
	for n := range notices {
		m.first.write(t, "notifications", "", fmt.Sprintf(`{"user_id":"u-mm","message":"Tutu %d is ready."}`, n))
	}
	for n := range broken {
		m.first.write(t, []string{"orders", "payments", "notifications"}[n%3], "", fmt.Sprintf("no JSON %d", n))
	}
	m.first.write(t, "payments", "nobody", `{"event":"payment_captured","order_id":"nobody","user_id":"u","amount":5,"payment_id":"p-1"}`)
	m.eventually("the first records are copied", m.copied(20))
	mm.kill()
	say("MirrorMaker 2 was killed")
	m.place(s, orders/2)
	m.eventually("all is handled on the first cluster", m.are(books{orders, orders, 1, orders + notices, letters, 1}))
	mm.start(t)
	m.eventually("all records are copied", m.copied(all))
	require.NoError(t, s.Stop())
	m.eventually("all records are copied", m.copied(all))
	mm.kill()
	m.emails = s.Emails()
	from, err := m.first.contents(t.Context())
	require.NoError(t, err)
	to, err := m.second.contents(t.Context())
	require.NoError(t, err)
	twice := 0
	for _, n := range to {
		twice += n - 1
	}
	require.Len(t, to, len(from))
	again, of := m.again()
	say(fmt.Sprintf("%d records are copied, %d of them more than once; %d of %d offsets are read again", len(to), twice, again, of))

	s = m.run(m.second, map[string]string{"HELD_TIMEOUT": "1h"})
	m.place(s, orders/4)
	const total = orders + orders/4
	want := books{total, total, 1, total + notices, letters, 1}
	m.eventually("all is handled on the second cluster", m.are(want))
	m.eventually("nothing is left to read", m.handled(s))
	require.NoError(t, m.are(want)(t.Context()))
	say("all is handled on the second cluster")

	told := m.told(s)
	require.Len(t, told, total+notices)
	for what, n := range told {
		require.Equal(t, 1, n, what)
	}
	m.discard(s)
	report, err := scenario.On(s).Books.Audit(t.Context())
	require.NoError(t, err)
	for _, c := range report.Checks {
		for _, example := range c.Examples {
			require.Contains(t, example, "nobody", "only the payment that waits for its order is left")
		}
		require.LessOrEqual(t, c.Wrong, int64(1), c.Name)
	}
	require.EqualValues(t, total, report.Orders)
}
