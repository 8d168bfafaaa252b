//go:build rebuild

package rebuild

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/bench/process"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/e2e/progress"
	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/pkg/platform/wait"
	"pasdetrois/toolbox/audit"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/feed"
)

const (
	// Nothing is asserted about speed: the limits are for a machine that does much else.
	readyLimit  = 2 * time.Minute
	settleLimit = 4 * time.Minute
)

// world is the three services with a Kafka and a database of their own.
type world struct {
	t       *testing.T
	ctx     context.Context
	rng     *rand.Rand
	kafka   progress.Kafka
	db      *testkit.DB
	conn    *pgx.Conn // a superuser's
	bin     string
	logs    string
	at      client.Endpoints
	api     *client.Client
	running map[string]*process.Process
}

func newWorld(t *testing.T, seed uint64, bin, logs string, addresses []string) *world {
	t.Helper()
	given := os.Getenv("KAFKA_BROKERS")
	require.NotEmpty(t, given, "this needs a real Kafka: `make test SUITE=rebuild` starts one, or KAFKA_BROKERS names one")
	w := &world{t: t, ctx: t.Context(), rng: rand.New(rand.NewPCG(seed, 0)), bin: bin, logs: logs,
		kafka: progress.Kafka{Brokers: strings.Split(given, ","), Prefix: testkit.Prefix(t)},
		db:    testkit.Database(t, migrations.Up), at: client.Endpoints{}, running: map[string]*process.Process{}}
	require.NoError(t, os.MkdirAll(w.logs, 0o700))
	_, err := kafka.CreateTopics(w.ctx, w.kafkaConfig(), stack.Topics(1))
	require.NoError(t, err)
	w.conn, err = pgx.Connect(w.ctx, w.db.AdminURL)
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.conn.Close(context.WithoutCancel(w.ctx)) })
	for i, name := range messages.Services() {
		w.at[name] = client.Endpoint{Public: "http://" + addresses[2*i], Admin: "http://" + addresses[2*i+1]}
	}
	w.api = client.NewBusy(w.at, 2*shoppers)
	t.Cleanup(w.api.Close)
	t.Cleanup(func() { w.end(syscall.SIGKILL) })
	return w
}

func (w *world) kafkaConfig() kafka.Config {
	return kafka.Config{Brokers: w.kafka.Brokers, TopicPrefix: w.kafka.Prefix, GroupPrefix: w.kafka.Prefix}
}

// environment is the settings of a service, or of pas.
func (w *world) environment() []string {
	return []string{"KAFKA_BROKERS=" + strings.Join(w.kafka.Brokers, ","), "KAFKA_TOPIC_PREFIX=" + w.kafka.Prefix, "KAFKA_GROUP_PREFIX=" + w.kafka.Prefix,
		"PAYMENT_TIMEOUT=" + paymentTimeout.String(), "PENDING_REPUBLISH_AFTER=5s", "PROVIDER_LATENCY=5ms", "EMAIL_CONCURRENCY=32", "GOMAXPROCS=1"}
}

// start starts the services and waits until they are ready.
func (w *world) start() {
	w.t.Helper()
	for _, name := range messages.Services() {
		address := func(url string) string { return strings.TrimPrefix(url, "http://") }
		p, err := process.Start(process.Spec{Name: name, Path: filepath.Join(w.bin, name), Logs: w.logs, Env: append(w.environment(),
			"DATABASE_URL="+w.db.URL(name), "HTTP_ADDR="+address(w.at[name].Public), "ADMIN_ADDR="+address(w.at[name].Admin))})
		require.NoError(w.t, err)
		w.running[name] = p
	}
	for _, name := range messages.Services() {
		w.until(readyLimit, name+" is ready", func() error { return errors.Join(w.running[name].Alive(), w.api.Ready(w.ctx, name)) })
	}
}

// end ends the services: with SIGTERM they finish what they have begun, with SIGKILL they do not.
func (w *world) end(signal syscall.Signal) {
	var all sync.WaitGroup
	for name, p := range w.running {
		delete(w.running, name)
		all.Go(func() {
			_ = syscall.Kill(p.PID(), syscall.SIGCONT)
			_ = syscall.Kill(p.PID(), signal)
			select {
			case <-p.Exited():
			case <-time.After(readyLimit):
			}
			_ = p.Stop()
		})
	}
	all.Wait()
}

// until asks check again until it returns nil, and fails the test when limit is over.
func (w *world) until(limit time.Duration, what string, check func() error) {
	w.t.Helper()
	for deadline := time.Now().Add(limit); ; {
		err := check()
		if err == nil {
			return
		}
		require.True(w.t, time.Now().Before(deadline), "after %s still not: %s: %v", limit, what, err)
		require.True(w.t, wait.Sleep(w.ctx, 100*time.Millisecond), "the test ended")
	}
}

// settle waits until nothing is open anywhere and every record is acknowledged.
func (w *world) settle() {
	w.t.Helper()
	w.until(settleLimit, "everything is settled", func() error {
		open, err := progress.Look(w.ctx, w.conn)
		if err != nil {
			return err
		}
		if open != (progress.Open{}) {
			return fmt.Errorf("%d orders, %d messages in the outbox, %d emails are open", open.Orders, open.Outbox, open.Unsent)
		}
		lag, err := w.kafka.Lag(w.ctx)
		if err == nil && lag > 0 {
			err = fmt.Errorf("%d records are not acknowledged", lag)
		}
		return err
	})
}

const (
	seenOrdersSQL = `SELECT order_id, status, reason, payment_id FROM orders.audit_orders ORDER BY 1`
	seenLedgerSQL = `SELECT order_id, status, charge_calls, refund_calls FROM payments.audit_provider_ledger ORDER BY 1`
	unsettledSQL  = `SELECT message_id FROM notifications.audit_notifications WHERE status = 'pending'`
	seenOutboxSQL = `SELECT count(*) FROM orders.audit_outbox WHERE key NOT IN (SELECT order_id FROM orders.audit_orders)`
)

// look returns what the world was told up to now. Products are read over HTTP, so the services run, or are given.
func (w *world) look(products []product) seen {
	w.t.Helper()
	s := seen{Products: products, Topics: map[string]map[string]bool{}, Sent: map[string]bool{}, Unsettled: map[string]bool{}}
	s.Orders = rows[order](w, seenOrdersSQL)
	s.Charges = rows[charge](w, seenLedgerSQL)
	s.Emails = w.emails()
	pending, err := w.conn.Query(w.ctx, unsettledSQL)
	require.NoError(w.t, err)
	ids, err := pgx.CollectRows(pending, pgx.RowTo[string])
	require.NoError(w.t, err)
	for _, id := range ids {
		s.Unsettled[id] = true
	}
	require.NoError(w.t, w.conn.QueryRow(w.ctx, seenOutboxSQL).Scan(&s.Outbox))
	w.readTopics(func(m messages.Message) {
		if id := m.Event.Order(); id != "" {
			if s.Topics[id] == nil {
				s.Topics[id] = map[string]bool{}
			}
			s.Topics[id][m.Event.EventName()] = true
		}
		if sent, ok := m.Event.(messages.NotificationSent); ok {
			s.Sent[sent.MessageID] = true
		}
	})
	return s
}

func rows[T any](w *world, sql string) []T {
	w.t.Helper()
	found, err := w.conn.Query(w.ctx, sql)
	require.NoError(w.t, err)
	all, err := pgx.CollectRows(found, pgx.RowToStructByName[T])
	require.NoError(w.t, err)
	return all
}

func (w *world) products() []product {
	w.t.Helper()
	stock, err := w.api.Inventory(w.ctx)
	require.NoError(w.t, err)
	all := make([]product, len(stock))
	for i, s := range stock {
		all[i] = product{s.SKU, s.Price.String() + " " + s.Currency, s.Stocked}
	}
	return all
}

// emails are the lines of the log of notifications, of all its lives: without a mail server a line is an email.
func (w *world) emails() []email {
	w.t.Helper()
	log, err := os.ReadFile(filepath.Join(w.logs, messages.ServiceNotifications+".log"))
	require.NoError(w.t, err)
	var all []email
	for line := range bytes.Lines(log) {
		var e email
		if json.Unmarshal(line, &e) == nil && e.To != "" {
			e.MessageID, _, _ = strings.Cut(strings.TrimPrefix(e.MessageID, "<"), "@") // the id of the message that asked for it
			all = append(all, e)
		}
	}
	return all
}

// readTopics calls hear with each message that is in the topics now.
func (w *world) readTopics(hear func(messages.Message)) {
	w.t.Helper()
	f, err := feed.Open(w.ctx, feed.Config{Kafka: w.kafkaConfig(), Topics: messages.TopicNames(), Start: feed.Start{Beginning: true}, OpenTime: readyLimit})
	require.NoError(w.t, err)
	defer f.Close()
	for {
		records, err := f.Poll(w.ctx)
		if err != nil {
			require.ErrorIs(w.t, err, io.EOF)
			return
		}
		for _, r := range records {
			if m, err := (feed.Config{}).Message(r); err == nil {
				hear(m)
			}
		}
	}
}

// audited returns what `pas audit --topics` finds wrong.
func (w *world) audited() (wrong []string) {
	w.t.Helper()
	report, err := audit.Run(w.ctx, audit.Config{OrdersURL: w.db.AdminURL, PaymentsURL: w.db.AdminURL, NotificationsURL: w.db.AdminURL,
		Topics: &feed.Config{Kafka: w.kafkaConfig(), OpenTime: readyLimit}})
	require.NoError(w.t, err)
	for _, c := range report.Checks {
		if c.Wrong > 0 {
			wrong = append(wrong, fmt.Sprintf("audit: %s: %d wrong: %q", c.Name, c.Wrong, c.Examples))
		}
	}
	return wrong
}
