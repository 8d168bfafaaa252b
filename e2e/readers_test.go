package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/restproxy"
	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/messages/messagestest"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/feed"
	"pasdetrois/toolbox/tail"
	"pasdetrois/toolbox/windows"
)

// readers is a stack to whose topic orders the whole table of values was written, in partition 0, so that a case's offset
// is its number.
type readers struct {
	env      *scenario.Env
	stack    *stack.Stack
	proxy    *restproxy.Proxy
	client   *client.Client
	cases    []messagestest.Case
	received time.Time // the time of all records
}

// TestAllReadersAgreeOnEveryValue sends one table of values through the services from Kafka and over HTTP, `pas tail`,
// `pas windows`, `pas rest`, `pas audit` and what the Spark job reads with.
func TestAllReadersAgreeOnEveryValue(t *testing.T) {
	t.Parallel()
	s := start(t)
	l, err := stack.Listen("rest", 0)
	require.NoError(t, err)
	proxy, err := restproxy.Start(s, l, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(proxy.Stop)
	w := readers{env: scenario.On(s), stack: s, proxy: proxy, cases: messagestest.Cases(), received: time.Now().Add(-time.Minute).Truncate(time.Millisecond)}
	w.client = w.env.Client
	w.write(t)
	t.Run("the services", w.services)
	t.Run("pas tail", w.tail)
	t.Run("pas windows", w.windows)
	t.Run("pas rest", w.rest)
	t.Run("the Spark job", w.spark)
	t.Run("HTTP", w.http)
	t.Run("cancelling", w.cancel)
	t.Run("pas audit", w.audit)
}

// stock makes every product that the table orders.
func (w readers) stock(t *testing.T) {
	for _, c := range w.cases {
		if c.SKU == "" || c.Services != messages.EventOrderPlaced {
			continue
		}
		_, err := w.client.PutProduct(t.Context(), c.SKU, client.Product{Name: "Value", Price: "0.01"})
		require.NoError(t, err, c.Name)
		_, err = w.client.Restock(t.Context(), c.SKU, 10_000)
		require.NoError(t, err, c.Name)
	}
}

// write writes the whole table while orders does not consume: its own events would take offsets in between.
func (w readers) write(t *testing.T) {
	_, err := w.client.PauseConsumers(t.Context(), client.Orders, time.Minute)
	require.NoError(t, err)
	producer, err := kgo.NewClient(kgo.SeedBrokers(w.env.Kafka.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer producer.Close()
	for i, c := range w.cases {
		r := &kgo.Record{Topic: w.env.Kafka.TopicPrefix + messages.TopicOrders, Value: c.Value, Timestamp: w.received}
		for _, h := range c.Headers {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		require.NoError(t, producer.ProduceSync(t.Context(), r).FirstErr())
		require.EqualValues(t, i, r.Offset)
	}
	w.stock(t) // behind the table, because each change of a product is an event as well
	_, err = w.client.ResumeConsumers(t.Context(), client.Orders)
	require.NoError(t, err)
}

func (w readers) feed() feed.Config {
	return feed.Config{Kafka: kafka.Config{Brokers: w.env.Kafka.Brokers, TopicPrefix: w.env.Kafka.TopicPrefix}, Topics: []string{messages.TopicOrders},
		Start: feed.Start{Beginning: true}, OpenTime: time.Minute}
}

func (w readers) services(t *testing.T) {
	parked := map[int64]string{}
	for i, c := range w.cases {
		testkit.Eventually(t, func() error {
			switch c.Services {
			case "unknown":
				return nil
			case messages.EventOrderPlaced:
				o, err := w.client.Order(t.Context(), c.OrderID, 0)
				if err != nil {
					return fmt.Errorf("%s: %w", c.Name, err)
				}
				w.same(t, c, o)
				_, err = w.client.Timeline(t.Context(), c.OrderID)
				return err
			}
			if parked[int64(i)] == "" {
				letters, err := w.client.DeadLetters(t.Context(), client.Orders, client.LetterParked, 0)
				if err != nil {
					return err
				}
				for _, l := range letters {
					if l.Topic == messages.TopicOrders && l.Partition == 0 {
						parked[l.Offset] = l.Reason
					}
				}
			}
			if parked[int64(i)] != c.Services {
				return fmt.Errorf("%s: parked as %q, want %s", c.Name, parked[int64(i)], c.Services)
			}
			return nil
		})
	}
}

// same compares an order as the service shows it with the case.
func (w readers) same(t *testing.T, c messagestest.Case, o client.Order) {
	t.Helper()
	require.Equal(t, c.OrderID, o.OrderID, c.Name)
	require.Equal(t, c.UserID, o.UserID, c.Name)
	if c.SKU == "" {
		require.Equal(t, c.Amount, o.Total.String()+" "+o.Currency, c.Name)
		return
	}
	require.Len(t, o.Items, 1, c.Name)
	require.Equal(t, c.SKU, o.Items[0].SKU, c.Name)
	require.Equal(t, c.Quantity, fmt.Sprint(o.Items[0].Quantity), c.Name)
}

func (w readers) tail(t *testing.T) {
	read := 0
	summary, err := tail.Run(t.Context(), tail.Config{Feed: w.feed(), Max: len(w.cases), Show: func(r tail.Record) error {
		c := w.cases[r.Offset]
		require.Equal(t, c.Unreadable, r.Unreadable, c.Name)
		require.Equal(t, c.Event, r.Event, c.Name)
		read++
		return nil
	}})
	require.NoError(t, err)
	require.Equal(t, len(w.cases), read)
	empty, unreadable := w.count(func(c messagestest.Case) bool { return c.Unreadable == messages.ReasonEmptyBody }), 0
	unreadable = w.count(func(c messagestest.Case) bool { return c.Unreadable != "" }) - empty
	require.EqualValues(t, empty, summary.Empty)
	require.EqualValues(t, unreadable, summary.Unreadable)
	for _, c := range w.cases {
		if c.Services != messages.EventOrderPlaced {
			continue
		}
		found, err := tail.Run(t.Context(), tail.Config{Feed: w.feed(), Filter: tail.Filter{Order: c.OrderID, User: c.UserID}, Show: func(tail.Record) error { return nil }})
		require.NoError(t, err)
		require.Positive(t, found.Shown, c.Name)
		break
	}
}

func (w readers) count(is func(messagestest.Case) bool) (n int) {
	for _, c := range w.cases {
		if is(c) {
			n++
		}
	}
	return n
}

// counted is how often an event was counted with a currency, and the sum.
type counted map[string]struct {
	events int64
	minor  int64
}

func (c counted) add(event, currency string, events, minor int64) {
	cell := c[event+"|"+currency]
	cell.events, cell.minor = cell.events+events, cell.minor+minor
	c[event+"|"+currency] = cell
}

// table returns what the table comes to, and the number of amounts that cannot be read.
func (w readers) table(t *testing.T) (all counted, bad int64) {
	all = counted{}
	for _, c := range w.cases {
		switch {
		case c.Unreadable != "":
		case c.Amount == messagestest.Refused:
			bad++
			fallthrough
		case c.Amount == "":
			all.add(c.Event, "", 1, 0)
		default:
			decimal, currency, _ := strings.Cut(c.Amount, " ")
			m, err := messages.ParseMoneyStrict(decimal, currency)
			require.NoError(t, err)
			all.add(c.Event, currency, 1, m.Minor)
		}
	}
	return all, bad
}

func (w readers) windows(t *testing.T) {
	const century = 100 * 365 * 24 * time.Hour // nothing of the table is late
	summary, err := windows.Run(t.Context(), windows.Config{Feed: w.feed(), Size: time.Hour, Grace: century, Every: time.Second, Idle: time.Hour,
		Show: func(windows.Window) {}, Note: func(string) {}})
	require.NoError(t, err)
	want, bad := w.table(t)
	got := counted{}
	for _, window := range summary.Open {
		for _, e := range window.Events {
			with := e.Count
			for _, sum := range e.Sums {
				minor, err := strconv.ParseInt(strings.Replace(string(sum.Amount), ".", "", 1), 10, 64)
				require.NoError(t, err)
				got.add(e.Name, sum.Currency, 0, minor)
			}
			got.add(e.Name, "", with, 0)
		}
	}
	// The services have published what became of the orders. These are events of their own, and never count as orders.
	confirmed := got[messages.EventOrderConfirmed+"|"].events
	require.Positive(t, confirmed)
	require.Less(t, confirmed, got[messages.EventOrderPlaced+"|"].events)
	maps.DeleteFunc(got, func(key string, _ struct{ events, minor int64 }) bool {
		return strings.HasPrefix(key, messages.EventOrderConfirmed+"|")
	})
	products := got[messages.EventInventoryChanged+"|"].events // each was put and restocked
	require.Positive(t, products)
	require.Zero(t, products%2)
	delete(got, messages.EventInventoryChanged+"|")
	for key, cell := range want { // windows tell how many events there are of all currencies together
		if name, currency, _ := strings.Cut(key, "|"); currency != "" {
			want.add(name, "", cell.events, 0)
			cell.events = 0
			want[key] = cell
		}
	}
	require.Equal(t, want, got)
	require.Equal(t, bad, summary.BadAmounts)
}

// spark reads the records with the Spark job's own reader, which needs no Spark.
func (w readers) spark(t *testing.T) {
	var in, stderr bytes.Buffer
	for _, c := range w.cases {
		var headers [][2]string
		for _, h := range c.Headers {
			headers = append(headers, [2]string{h.Key, base64.StdEncoding.EncodeToString(h.Value)})
		}
		line, err := json.Marshal(map[string]any{"topic": messages.TopicOrders, "ms": w.received.UnixMilli(), "value": c.Base64(), "headers": headers})
		require.NoError(t, err)
		in.Write(append(line, '\n'))
	}
	python := exec.CommandContext(t.Context(), "python3", "-B", filepath.Join("..", "deploy", "spark", "testdata", "read_lines.py"))
	python.Stdin, python.Stderr = &in, &stderr
	out, err := python.Output()
	require.NoError(t, err, stderr.String())
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, lines, len(w.cases))
	for i, c := range w.cases {
		want := "null"
		if c.Unreadable == "" {
			at, currency, minor := w.received, "", int64(0)
			if c.Time != "" {
				at, err = time.Parse(time.RFC3339Nano, c.Time)
				require.NoError(t, err)
			}
			if decimal, code, is := strings.Cut(c.Amount, " "); is {
				m, err := messages.ParseMoneyStrict(decimal, code)
				require.NoError(t, err)
				currency, minor = code, m.Minor
			}
			want = fmt.Sprintf("[%q, %d, %q, %d, %v, false]", c.Event, at.UnixMilli(), currency, minor, c.Amount == messagestest.Refused)
		}
		require.Equal(t, want, lines[i], c.Name)
	}
}

// cancel shows and cancels each order by its id, whatever characters that has.
func (w readers) cancel(t *testing.T) {
	for _, c := range w.cases {
		if c.Services != messages.EventOrderPlaced || !strings.HasPrefix(c.Name, "order_id") {
			continue
		}
		testkit.Eventually(t, func() error {
			if _, err := w.client.Payment(t.Context(), c.OrderID); err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
			o, err := w.client.Cancel(t.Context(), c.OrderID)
			if err != nil || o.Status != "cancelled" {
				return fmt.Errorf("%s: %s, %w", c.Name, o.Status, err)
			}
			return nil
		})
	}
}

func (w readers) audit(t *testing.T) {
	parked := w.count(func(c messagestest.Case) bool {
		return c.Services != messages.EventOrderPlaced && c.Services != "unknown"
	})
	testkit.Eventually(t, func() error {
		report, err := scenario.On(w.stack).Books.Audit(t.Context())
		require.NoError(t, err)
		for _, check := range report.Checks {
			if check.Name == "parked" {
				require.EqualValues(t, parked, check.Wrong)
			} else if check.Wrong > 0 {
				return fmt.Errorf("%s: %v", check.Name, check.Examples)
			}
		}
		return nil
	})
}
