package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

// The person that these tests plant. Nothing else has these texts in it.
const (
	person    = "ada-planted-7f3a"
	address   = "lovelace.planted@example.test"
	planted   = "planted"
	other     = "bob-8c41"
	erasedKey = "0123456789abcdef0123456789abcdef"
)

// transcript is a writer of many goroutines.
type transcript struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (w *transcript) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.Write(b)
}

// with returns the lines that have a text.
func (w *transcript) with(text string) (lines []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for line := range strings.Lines(w.buf.String()) {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}

// bouncer is a mail server that refuses every recipient, and says whom.
func bouncer(t *testing.T) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, "220 bouncer\r\n")
				lines := bufio.NewScanner(conn)
				for lines.Scan() {
					answer := "250 ok"
					if to, is := strings.CutPrefix(lines.Text(), "RCPT TO:"); is {
						answer = "550 5.1.1 " + to + ": nobody here has this name"
					}
					if strings.HasPrefix(lines.Text(), "QUIT") {
						return
					}
					_, _ = io.WriteString(conn, answer+"\r\n")
				}
			}()
		}
	}()
	return "smtp://" + l.Addr().String() + "?tls=none"
}

// planting is a stack in which a person is everywhere.
type planting struct {
	t     *testing.T
	stack *stack.Stack
	env   *scenario.Env
	kafka *kgo.Client
	logs  *transcript
	spans *transcript
}

func plant(t *testing.T, change ...func(*stack.Config)) *planting {
	t.Helper()
	key := filepath.Join(t.TempDir(), "erasure.key")
	require.NoError(t, os.WriteFile(key, []byte(erasedKey+"\n"), 0o600))
	p := &planting{t: t, logs: &transcript{}, spans: &transcript{}}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(p.spans, r.Body) }))
	t.Cleanup(collector.Close)
	log, err := run.Logger(p.logs, "stack", "info", "json")
	require.NoError(t, err)
	p.stack = start(t, append([]func(*stack.Config){func(c *stack.Config) {
		c.Log = log
		c.Environ = map[string]string{"ERASURE_KEY_FILE": key, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL}
		c.Services = map[string]map[string]string{
			client.Orders:        {"HELD_TIMEOUT": "1s"},
			client.Notifications: {"SMTP_URL": bouncer(t), "EMAIL_FROM": "shop@example.test"},
		}
	}}, change...)...)
	p.env = scenario.On(p.stack)
	p.kafka, err = kgo.NewClient(kgo.SeedBrokers(p.env.Kafka.Brokers...))
	require.NoError(t, err)
	t.Cleanup(p.kafka.Close)
	return p
}

func (p *planting) write(topic, value string) {
	p.t.Helper()
	require.NoError(p.t, p.kafka.ProduceSync(p.t.Context(), &kgo.Record{Topic: p.env.Kafka.TopicPrefix + topic, Value: []byte(value)}).FirstErr())
}

// everywhere plants the person: orders over HTTP and Kafka with each outcome, bad input, payments from outside, and dead letters.
func (p *planting) everywhere() {
	t, c := p.t, p.env.Client
	t.Helper()
	order := func(id, user, method, email string, items ...client.NewItem) {
		_, _, err := c.Place(t.Context(), client.NewOrder{OrderID: id, UserID: user, Items: items, PaymentMethod: method, Email: email}, client.PlaceOptions{IdempotencyKey: "key-" + id})
		require.NoError(t, err, id)
	}
	lp := client.NewItem{SKU: "vinyl-swan-lake", Quantity: 1}
	order("e-confirmed", person, "", address, lp)
	order("e-default", person, "", "", lp)
	order("e-declined", person, "pm_card_chargeDeclined", address, lp)
	order("e-fraud", person, "", address, client.NewItem{SKU: "turntable-signature", Quantity: 1})
	order("e-cancelled", person, "", address, lp)
	order("e-other", other, "", "bob@example.test", lp)
	_, _, err := c.Place(t.Context(), client.NewOrder{OrderID: "e-bad", UserID: person, Email: "no address of " + planted, Items: []client.NewItem{lp}}, client.PlaceOptions{})
	require.Error(t, err)
	_, _, err = c.Place(t.Context(), client.NewOrder{OrderID: "e-confirmed", UserID: person, Email: "x" + address, Items: []client.NewItem{lp}}, client.PlaceOptions{})
	require.Error(t, err, "another address is another order")
	p.write(messages.TopicOrders, fmt.Sprintf(`{"order_id":"e-kafka","user_id":%q,"email":%q,"items":[{"sku":"record-brush","quantity":1}]}`, person, address))
	p.write(messages.TopicOrders, fmt.Sprintf(`{"order_id":"e-rejected","user_id":%q,"email":%q,"items":[{"sku":"nowhere","quantity":1}],"total":1}`, person, address))
	for _, id := range []string{"e-confirmed", "e-default", "e-declined", "e-fraud", "e-cancelled", "e-other", "e-kafka", "e-rejected"} {
		p.settled(id)
	}
	_, err = c.Cancel(t.Context(), "e-cancelled")
	require.NoError(t, err)
	p.status("e-cancelled", "cancelled")

	// What cannot be handled: each becomes a dead letter.
	p.write(messages.TopicOrders, fmt.Sprintf(`{"order_id":"e-confirmed","user_id":%q,"email":"other.%s","items":[{"sku":"record-brush","quantity":3}]}`, person, address))
	p.write(messages.TopicOrders, fmt.Sprintf(`{"order_id":"e-kafka","user_id":%q,"total":1,"currency":%q}`, person, address))
	p.write(messages.TopicOrders, fmt.Sprintf(`{"order_id":"e-broken","user_id":%q,"email":%q`, person, address))
	p.write(messages.TopicOrders, fmt.Sprintf(`{"order_id":"e-mismatch","user_id":%q,"total":1,"items":[{"sku":"record-brush","quantity":3}]}`, person))
	p.write(messages.TopicPayments, fmt.Sprintf(`{"order_id":"e-confirmed","user_id":%q,"amount":7}`, person))
	p.write(messages.TopicOrders, fmt.Sprintf(`{"order_id":"e-other","user_id":%q,"items":[{"sku":"record-brush","quantity":3}]}`, person))
	p.write(messages.TopicPayments, fmt.Sprintf(`{"order_id":"e-other","user_id":%q,"amount":49.99}`, person))
	p.write(messages.TopicPayments, fmt.Sprintf(`{"order_id":"e-outside","user_id":%q,"amount":7}`, person))
	p.write(messages.TopicPayments, fmt.Sprintf(`{"event":"payment_failed","order_id":"e-nowhere","user_id":%q,"total":7,"reason":"said %s"}`, person, planted))
	p.write(messages.TopicNotifications, fmt.Sprintf(`{"user_id":%q,"message":"Dear %s","to":%q}`, person, planted, address))
	p.write(messages.TopicNotifications, fmt.Sprintf(`{"user_id":%q,"message":"","to":%q}`, person, address))
	p.write(messages.TopicNotifications, fmt.Sprintf(`{"order_id":"e-confirmed","kind":"confirmed","user_id":%q,"message":"Other words for %s","to":%q}`, person, planted, address))
	p.quiet()
}

func (p *planting) status(id, want string) {
	p.t.Helper()
	testkit.Eventually(p.t, func() error {
		o, err := p.env.Client.Order(p.t.Context(), id, 0)
		if err == nil && o.Status != want {
			err = fmt.Errorf("%s is %s", id, o.Status)
		}
		return err
	})
}

func (p *planting) settled(id string) {
	p.t.Helper()
	testkit.Eventually(p.t, func() error {
		o, err := p.env.Client.Order(p.t.Context(), id, 0)
		if err == nil && !messages.Settled(o.Status) {
			err = fmt.Errorf("%s is %s", id, o.Status)
		}
		return err
	})
}

// quiet waits until all is read, nothing is to be published or sent, and the audit with topics is clean.
func (p *planting) quiet() {
	p.t.Helper()
	testkit.Eventually(p.t, func() error {
		for _, service := range messages.Services() {
			_, metrics := p.get(p.env.Client.Endpoint(service).Admin + "/metrics")
			for line := range strings.Lines(metrics) {
				if strings.HasPrefix(line, "pasdetrois_consumer_lag{") && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
					return errors.New(line)
				}
			}
		}
		for _, sql := range []string{`SELECT count(*) FROM orders.audit_outbox`, `SELECT count(*) FROM notifications.audit_notifications WHERE status = 'pending'`} {
			if rows := p.rows(sql); rows[0] != "0" {
				return errors.New(sql + ": " + rows[0])
			}
		}
		return p.audited()
	})
}

// audited returns what the audit with topics finds wrong, but for dead letters that are open: everywhere made them.
func (p *planting) audited() error {
	report, err := p.env.Books.Audit(p.t.Context())
	if err != nil {
		return err
	}
	for _, check := range report.Checks {
		if check.Wrong > 0 && check.Name != "parked" {
			return fmt.Errorf("%s: %v", check.Name, check.Examples)
		}
	}
	return nil
}

func (p *planting) get(url string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, url, nil)
	require.NoError(p.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	return resp.StatusCode, string(body)
}

func (p *planting) rows(sql string, args ...any) []string {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.stack.AdminURL())
	require.NoError(p.t, err)
	defer conn.Close(context.Background())
	rows, err := conn.Query(p.t.Context(), sql, args...)
	require.NoError(p.t, err)
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (text string, err error) {
		var v any
		err = row.Scan(&v)
		return fmt.Sprint(v), err
	})
	require.NoError(p.t, err)
	return found
}

// stored returns all rows of the services' tables that have the person in them, bytes read as text.
func (p *planting) stored() (found []string) {
	p.t.Helper()
	for _, table := range p.rows(`SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = ANY($1) ORDER BY 1`, messages.Services()) {
		for _, row := range p.rows(`SELECT t::text FROM ` + table + ` t`) {
			if hexed := fmt.Sprintf("%x", planted); strings.Contains(row, planted) || strings.Contains(row, hexed) {
				found = append(found, table+": "+row)
			}
		}
	}
	return found
}

// again writes a copy of every record of the topics, with its time: Kafka redelivers so, and so does a replay of the topics.
func (p *planting) again() {
	t := p.t
	t.Helper()
	reader, err := kgo.NewClient(kgo.SeedBrokers(p.env.Kafka.Brokers...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeTopics(prefixed(p.env.Kafka.TopicPrefix)...))
	require.NoError(t, err)
	defer reader.Close()
	var copies []*kgo.Record
	for total := p.recordsInTopics(); len(copies) < total; {
		fetches := reader.PollFetches(t.Context())
		require.NoError(t, fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			copies = append(copies, &kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp})
		})
	}
	require.NoError(t, p.kafka.ProduceSync(t.Context(), copies...).FirstErr())
}

func prefixed(prefix string) (names []string) {
	for _, name := range messages.TopicNames() {
		names = append(names, prefix+name)
	}
	return names
}

func (p *planting) erase() (pseudonym string) {
	p.t.Helper()
	for _, service := range messages.Services() {
		done, err := p.env.Client.EraseUser(p.t.Context(), service, person, false)
		require.NoError(p.t, err, service)
		pseudonym = done.Pseudonym
	}
	return pseudonym
}

// recordsInTopics returns how many offsets the four topics have.
func (p *planting) recordsInTopics() (total int) {
	p.t.Helper()
	ends, err := kadm.NewClient(p.kafka).ListEndOffsets(p.t.Context(), prefixed(p.env.Kafka.TopicPrefix)...)
	require.NoError(p.t, err)
	ends.Each(func(o kadm.ListedOffset) { total += int(o.Offset) })
	return total
}
