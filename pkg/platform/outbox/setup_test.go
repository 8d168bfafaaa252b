package outbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const outboxDDL = `
CREATE TABLE outbox (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  xid        xid8        NOT NULL DEFAULT pg_current_xact_id(),
  topic      text        NOT NULL,
  key        bytea,
  value      bytea       NOT NULL,
  headers    jsonb       NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);`

const ddl = outboxDDL + `
CREATE TABLE outbox_lease (
  single boolean     PRIMARY KEY DEFAULT true CHECK (single),
  holder text        NOT NULL,
  until  timestamptz NOT NULL
);
CREATE TABLE other (n int);`

func migrate(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, ddl)
	return errors.Join(err, conn.Close(ctx))
}

// world is one test's table and Kafka.
type world struct {
	t     *testing.T
	url   string
	pool  *pgxpool.Pool
	kafka *kafka
}

func setup(t *testing.T) *world {
	t.Helper()
	db := testkit.Database(t, migrate)
	w := &world{t: t, url: db.AdminURL, kafka: &kafka{}}
	w.pool = w.connect()
	return w
}

func (w *world) connect() *pgxpool.Pool {
	w.t.Helper()
	pool, err := pgxpool.New(w.t.Context(), w.url)
	require.NoError(w.t, err)
	w.t.Cleanup(pool.Close)
	return pool
}

// relay makes a relay whose recovery leaves rows alone for ever, unless told otherwise.
func (w *world) relay(change ...func(*Config)) *Relay {
	cfg := Config{Pool: w.pool, Publisher: w.kafka, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Grace: time.Hour, Poll: 5 * time.Millisecond}
	for _, c := range change {
		c(&cfg)
	}
	return NewRelay(cfg)
}

func recoverAtOnce(c *Config) { c.Grace = time.Nanosecond }

// start runs the relay and waits until it takes rows. stop ends it and waits.
func (w *world) start(r *Relay) (stop func()) {
	w.t.Helper()
	stop = w.run(r)
	testkit.Eventually(w.t, func() error {
		r.memory.mu.Lock()
		defer r.memory.mu.Unlock()
		if r.memory.state != memoryOpen {
			return errors.New("memory is closed")
		}
		return nil
	})
	return stop
}

func (w *world) run(r *Relay) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(w.t, err)
		case <-time.After(20 * time.Second):
			require.FailNow(w.t, "the relay did not stop")
		}
	})
	w.t.Cleanup(stop)
	return stop
}

// add commits one message for the order and returns its row.
func (w *world) add(orderID string, n int) Row {
	w.t.Helper()
	return w.addIn(w.pool, note(orderID, n))[0]
}

// addIn adds messages in a transaction, or in one of their own in the pool.
func (w *world) addIn(db interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}, msgs ...messages.Message) (rows []Row) {
	w.t.Helper()
	var batch pgx.Batch
	require.NoError(w.t, Add(&batch, func(added []Row) { rows = added }, msgs...))
	require.NoError(w.t, db.SendBatch(w.t.Context(), &batch).Close())
	require.Len(w.t, rows, len(msgs))
	return rows
}

// note is the n-th message about an order.
func note(orderID string, n int) messages.Message {
	return messages.Message{ID: messages.ID(orderID, "note", strconv.Itoa(n)), Source: "test", Time: time.Unix(1700000000, 0),
		Event: messages.NotificationRequested{UserID: "u", OrderID: orderID, Message: strconv.Itoa(n), Channel: messages.ChannelEmail}}
}

// left returns how many rows are in the table.
func (w *world) left() int {
	w.t.Helper()
	var n int
	require.NoError(w.t, w.pool.QueryRow(w.t.Context(), `SELECT count(*) FROM outbox`).Scan(&n))
	return n
}

// done waits until n messages are published and the table is empty.
func (w *world) done(n int) {
	w.t.Helper()
	testkit.Eventually(w.t, func() error {
		if got, left := len(w.kafka.numbers()), w.left(); got < n || left > 0 {
			return fmt.Errorf("%d of %d messages are published, %d are left in the table", got, n, left)
		}
		return nil
	})
}

// kafka is a Publisher that keeps what it is given.
type kafka struct {
	mu      sync.Mutex
	records []messages.Record
	down    bool
	tries   int
	gate    chan struct{} // when set, publishing waits for it to be closed
}

func (k *kafka) Publish(context.Context, ...messages.Message) error { panic("not used") }

func (k *kafka) PublishRecords(ctx context.Context, records ...messages.Record) error {
	k.mu.Lock()
	gate := k.gate
	k.tries++
	k.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down {
		return errors.New("kafka is down")
	}
	k.records = append(k.records, records...)
	return nil
}

func (k *kafka) set(down bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.down = down
}

func (k *kafka) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.records = nil
}

func (k *kafka) tried() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.tries
}

// numbers returns how often each message was published, by message id.
func (k *kafka) numbers() map[string]int {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := make(map[string]int)
	for _, r := range k.records {
		m, err := messages.Decode(r)
		if err != nil {
			panic(err)
		}
		n[m.ID]++
	}
	return n
}

// of returns the order's messages in the order in which each was published first.
func (k *kafka) of(orderID string) []int {
	k.mu.Lock()
	defer k.mu.Unlock()
	var texts []int
	seen := make(map[string]bool)
	for _, r := range k.records {
		m, err := messages.Decode(r)
		if err != nil {
			panic(err)
		}
		if e := m.Event.(messages.NotificationRequested); e.OrderID == orderID && !seen[m.ID] {
			seen[m.ID] = true
			n, _ := strconv.Atoi(e.Message)
			texts = append(texts, n)
		}
	}
	return texts
}
