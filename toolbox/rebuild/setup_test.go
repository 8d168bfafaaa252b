package rebuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
	}
	testkit.Main(m)
}

// fake is a state: a row has the events of its key. A story that ends with payment_captured is not decided, one without
// order_placed is unknown.
type fake struct {
	pool *pgxpool.Pool
	fold func(context.Context) // called first; nil = nothing
	seen rebuild.Facts
}

func (f *fake) Inform(facts rebuild.Facts) { f.seen = facts }

func (f *fake) Key(m messages.Message) string { return m.Event.Key() }

func (f *fake) Fold(ctx context.Context, stories []rebuild.Story, write bool) (findings []rebuild.Finding, err error) {
	if f.fold != nil {
		f.fold(ctx)
	}
	err = pgx.BeginFunc(ctx, f.pool, func(tx pgx.Tx) error {
		for _, s := range stories {
			var names []string
			for _, r := range s.Records {
				names = append(names, r.Event.EventName())
			}
			finding := rebuild.Finding{Kind: rebuild.Differs, Key: s.Key, Is: strings.Join(names, " "), At: s.Records[0].Time}
			if err := tx.QueryRow(ctx, `SELECT coalesce((SELECT events FROM told WHERE key = $1), '')`, s.Key).Scan(&finding.Was); err != nil {
				return err
			}
			if names[0] != messages.EventOrderPlaced {
				findings = append(findings, rebuild.Finding{Kind: rebuild.Unknown, Key: s.Key, Do: "ask"})
				continue
			}
			if last := s.Records[len(s.Records)-1]; last.Event.EventName() == messages.EventPaymentCaptured {
				findings = append(findings, rebuild.Finding{Kind: rebuild.Undecided, Key: s.Key, Again: []rebuild.Record{last}})
			}
			if finding.Was == finding.Is {
				continue
			}
			findings = append(findings, finding)
			if write {
				if _, err := tx.Exec(ctx, `INSERT INTO told VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET events = $2`, s.Key, finding.Is); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return findings, err
}

func (f *fake) Finish(context.Context, bool) ([]rebuild.Finding, error) { return nil, nil }

// world is one test's topics and database, of orders.
type world struct {
	*testing.T
	cfg      Config
	admin    *pgx.Conn
	adminURL string
	client   *kgo.Client
	began    time.Time // of the records: Kafka deletes those that are older than its retention
	written  int
	signers  map[string]*signing.Signer // sign what is written, by service
}

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, began: time.Now().Add(-6 * time.Hour).Truncate(time.Millisecond)}
	w.cfg.Service = messages.ServiceOrders
	w.cfg.Kafka = kafka.Config{Brokers: testkit.Brokers(t), TopicPrefix: testkit.Prefix(t)}
	w.cfg.Kafka.GroupPrefix = w.cfg.Kafka.TopicPrefix
	w.createTopics()
	db := testkit.Database(t, migrations.Up)
	w.adminURL = db.AdminURL
	var err error
	w.admin, err = pgx.Connect(t.Context(), db.AdminURL)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.admin.Close(context.Background())) })
	w.exec(`CREATE TABLE orders.told (key text PRIMARY KEY, events text NOT NULL); GRANT ALL ON orders.told TO orders`)
	w.cfg.Pool, err = Open(db.URL(messages.ServiceOrders), messages.ServiceOrders)
	require.NoError(t, err)
	t.Cleanup(w.cfg.Pool.Close)
	w.cfg.State = &fake{pool: w.cfg.Pool}
	w.connect()
	return w
}

// connect makes a client that knows only topics that are there now.
func (w *world) connect() {
	w.Helper()
	var err error
	w.client, err = kgo.NewClient(kgo.SeedBrokers(w.cfg.Kafka.Brokers...))
	require.NoError(w, err)
	w.Cleanup(w.client.Close)
}

func (w *world) createTopics() {
	w.Helper()
	var specs []kafka.TopicSpec
	for _, t := range messages.Topics() {
		specs = append(specs, kafka.TopicSpec{Name: t.Name, Partitions: 2, ReplicationFactor: 1})
	}
	testkit.Eventually(w, func() error {
		_, err := kafka.CreateTopics(w.Context(), w.cfg.Kafka, specs)
		return err
	})
}

func (w *world) exec(sql string) {
	w.Helper()
	_, err := w.admin.Exec(w.Context(), sql)
	require.NoError(w, err)
}

// write writes events, a second apart, and returns their records.
func (w *world) write(events ...messages.Event) []*kgo.Record {
	w.Helper()
	records := make([]*kgo.Record, 0, len(events))
	for _, e := range events {
		w.written++
		m, err := messages.Message{ID: messages.ID(e.Key(), e.EventName(), "test"), Source: "test", Event: e, Time: w.began.Add(time.Duration(w.written) * time.Second)}.Record()
		require.NoError(w, err)
		for _, s := range w.signers {
			signed, err := s.Records([]messages.Record{m})
			require.NoError(w, err)
			m = signed[0]
		}
		r := &kgo.Record{Topic: w.cfg.Kafka.TopicPrefix + m.Topic, Key: m.Key, Value: m.Value, Timestamp: m.Time}
		for _, h := range m.Headers {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		records = append(records, r)
	}
	require.NoError(w, w.client.ProduceSync(w.Context(), records...).FirstErr())
	return records
}

// commit makes a group have handled its topic up to its end.
func (w *world) commit(topic string) {
	w.Helper()
	admin := kadm.NewClient(w.client)
	ends, err := admin.ListEndOffsets(w.Context(), w.cfg.Kafka.TopicPrefix+topic)
	require.NoError(w, err)
	done, err := admin.CommitOffsets(w.Context(), w.group(topic), ends.Offsets())
	require.NoError(w, cmp.Or(err, done.Error()))
}

func (w *world) group(topic string) string { return w.cfg.Kafka.GroupPrefix + "orders." + topic }

// at returns the committed offsets of a group, "partition:offset" in order.
func (w *world) at(topic string) (at []string) {
	w.Helper()
	offsets, err := kadm.NewClient(w.client).FetchOffsets(w.Context(), w.group(topic))
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil
	}
	require.NoError(w, err)
	for _, o := range offsets.Sorted() {
		at = append(at, fmt.Sprintf("%d:%d", o.Partition, o.At))
	}
	return at
}

func (w *world) count(table string) (n int) {
	w.Helper()
	require.NoError(w, w.admin.QueryRow(w.Context(), "SELECT count(*) FROM orders."+table).Scan(&n))
	return n
}

func (w *world) run() *Report {
	w.Helper()
	report, err := Run(w.Context(), w.cfg)
	require.NoError(w, err)
	return report
}

var cost = messages.Money{Minor: 100, Currency: "USD"}

func placed(id string) messages.Event {
	return messages.OrderPlaced{OrderID: id, UserID: "u", Total: cost, HasTotal: true}
}

func requested(id string) messages.Event {
	return messages.PaymentRequested{OrderID: id, UserID: "u", Amount: cost}
}

func captured(id string) messages.Event {
	return messages.PaymentCaptured{OrderID: id, UserID: "u", Amount: cost, PaymentID: "p"}
}

func confirmed(id string) messages.Event {
	return messages.OrderConfirmed{OrderID: id, UserID: "u", Total: cost, PaymentID: "p", Step: "payment_captured"}
}
