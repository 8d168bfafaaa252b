package rebuild

import (
	"cmp"
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/pkg/platform/signing/signingtest"
	"pasdetrois/toolbox/feed"
)

func TestTheTopicsBecomeRows(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const orders = 60
	for n := range orders {
		id := fmt.Sprint("o", n)
		w.write(placed(id), requested(id), captured(id), confirmed(id))
	}
	w.write(placed("o1"), confirmed("o1")) // redelivered
	w.write(captured("stranger"))
	w.cfg.flushBytes = 1 // stored after each read
	w.cfg.DryRun = true
	dry := w.run()
	require.EqualValues(t, orders, dry.Made)
	require.Zero(t, w.count("told")+w.count("rebuild_records")+w.count("rebuild_progress")+w.count("rebuild_lease"))

	w.cfg.DryRun = false
	report := w.run()
	require.EqualValues(t, 4*orders+3, report.Records)
	require.Equal(t, [...]int64{orders + 1, orders, 0, 0, 1, 0}, [...]int64{report.Stories, report.Made, report.Changed, report.Equal, report.Unknown, report.Undecided})
	require.Equal(t, orders, w.count("told"))
	var different int
	require.NoError(t, w.admin.QueryRow(t.Context(), `SELECT count(*) FROM orders.told WHERE events <> 'order_placed payment_requested payment_captured order_confirmed'`).Scan(&different))
	require.Zero(t, different)
	require.Zero(t, w.count("rebuild_records")+w.count("rebuild_progress")+w.count("rebuild_lease"))

	w.exec(`UPDATE orders.told SET events = 'another' WHERE key = 'o7'; DELETE FROM orders.told WHERE key = 'o8'`)
	var found []rebuild.Finding
	w.cfg.Found = func(f rebuild.Finding) { found = append(found, f) }
	again := w.run()
	require.Equal(t, [...]int64{1, 1, orders - 2}, [...]int64{again.Made, again.Changed, again.Equal})
	require.Len(t, found, 3)
}

// The group goes back to the first record that is not decided, and to the first that cannot be read and was not parked.
func TestATrustedRebuildLeavesUnsignedEventsOut(t *testing.T) {
	t.Parallel()
	w := setup(t)
	keys := signingtest.New(t)
	w.write(placed("forged"), requested("forged"), captured("forged"), confirmed("forged"))
	w.write(placed("signed"), requested("signed"))
	w.signers = map[string]*signing.Signer{"payments": keys.Signer(t, "payments"), "orders": keys.Signer(t, "orders")}
	w.write(captured("signed"), confirmed("signed"))
	w.write(captured("only"))
	w.cfg.Trusted = keys.Keys(t)
	w.run()
	told := map[string]string{}
	rows, err := w.admin.Query(t.Context(), `SELECT key, events FROM orders.told`)
	require.NoError(t, err)
	var key, events string
	_, err = pgx.ForEachRow(rows, []any{&key, &events}, func() error {
		told[key] = events
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"forged": "order_placed payment_requested",
		"signed": "order_placed payment_requested payment_captured order_confirmed"}, told)
}

func TestTheGroupsReadWhatIsNotDecidedAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.write(placed("a"), requested("a"), captured("a"), confirmed("a"))
	open := w.write(placed("b"), requested("b"), captured("b"))[2]
	w.write(placed("c"), requested("c"), captured("c"), confirmed("c"))
	broken := &kgo.Record{Topic: w.cfg.Kafka.TopicPrefix + messages.TopicOrders, Partition: 0, Value: []byte("{")}
	parked := &kgo.Record{Topic: w.cfg.Kafka.TopicPrefix + messages.TopicOrders, Partition: 0, Value: []byte("[")}
	manual, err := kgo.NewClient(kgo.SeedBrokers(w.cfg.Kafka.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer manual.Close()
	require.NoError(t, manual.ProduceSync(t.Context(), parked).FirstErr())
	require.NoError(t, manual.ProduceSync(t.Context(), broken).FirstErr())
	_, err = w.admin.Exec(t.Context(), `INSERT INTO orders.dead_letters (topic, partition, record_offset, record_time, value, reason, detail) VALUES ('orders', $1, $2, $3, '[', 'not_json', '')`,
		parked.Partition, parked.Offset, parked.Timestamp)
	require.NoError(t, err)
	w.commit(messages.TopicOrders)
	w.commit(messages.TopicPayments)
	w.write(placed("d"), requested("d"), captured("d")) // not handled yet
	before := w.at(messages.TopicOrders)

	w.cfg.DryRun = true
	dry := w.run()
	require.Equal(t, before, w.at(messages.TopicOrders))
	w.cfg.DryRun = false
	report := w.run()
	require.Equal(t, dry.Moved, report.Moved)
	moved := map[string]int64{}
	for _, m := range report.Moved {
		moved[fmt.Sprint(m.Topic, m.Partition)] = m.To
	}
	require.Equal(t, map[string]int64{fmt.Sprint("orders", broken.Partition): broken.Offset, fmt.Sprint("payments", open.Partition): open.Offset}, moved)
	require.Contains(t, w.at(messages.TopicOrders), fmt.Sprintf("%d:%d", broken.Partition, broken.Offset))
	require.Contains(t, w.at(messages.TopicPayments), fmt.Sprintf("%d:%d", open.Partition, open.Offset))
	require.Empty(t, w.at(messages.TopicOrderFailures), "a group that has no offset reads from the beginning anyway")
	facts := w.cfg.State.(*fake).seen
	require.EqualValues(t, 0, facts.First[rebuild.Place{Topic: "payments", Partition: open.Partition}][messages.EventPaymentRequested])
	require.Greater(t, facts.Committed[rebuild.Place{Topic: "payments", Partition: open.Partition}], open.Offset)

	require.Empty(t, w.run().Moved, "nothing is moved forward, and nothing twice")
}

func TestTopicsThatWereMadeAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.write(placed("a"), confirmed("a"))
	w.cfg.State.(*fake).fold = func(context.Context) { panic("ended") }
	w.cfg.flushBytes = 1
	require.Panics(t, func() { w.run() })
	require.NotZero(t, w.count("rebuild_records"))
	w.remake()
	w.write(placed("b"), requested("b"), confirmed("b"))
	w.cfg.State.(*fake).fold = func(context.Context) { w.remake() }
	_, err := Run(t.Context(), w.cfg)
	var remade *feed.RemadeError
	require.ErrorAs(t, err, &remade)
	require.Zero(t, w.count("told WHERE key = 'a'"), "what an earlier run staged of other topics does not count")
	require.Equal(t, 1, w.count("told"))
}

func (w *world) remake() {
	admin := kadm.NewClient(w.client)
	for _, topic := range messages.TopicNames() {
		answers, err := admin.DeleteTopics(w.Context(), w.cfg.Kafka.TopicPrefix+topic)
		require.NoError(w, cmp.Or(err, answers.Error()))
	}
	w.createTopics()
	w.connect()
}
