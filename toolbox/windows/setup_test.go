package windows

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/feed"
)

// childVariable makes the test's binary a process that counts: see counting.
const childVariable = "PAS_TEST_COUNT"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) == "" {
		testkit.Main(m)
		return
	}
	var c counting
	err := json.Unmarshal([]byte(os.Getenv(childVariable)), &c)
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		_, err = c.run(ctx)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const (
	testSize  = time.Minute
	testGrace = 10 * time.Second
)

// counting is a run with a store, in this process or in a child.
type counting struct {
	Kafka    kafka.Config
	Topics   []string
	Database string
	Follow   bool
	Job      string // "" = test
	Fast     bool   // large batches, as the tool makes them
}

func (c counting) job() Job {
	job := Job{Name: cmp.Or(c.Job, "test"), Size: testSize, Grace: testGrace}
	for _, t := range c.Topics {
		job.Topics = append(job.Topics, c.Kafka.TopicPrefix+t)
	}
	return job
}

func (c counting) connect(ctx context.Context) (*pgx.Conn, error) {
	return pgx.Connect(ctx, c.Database)
}

// config makes many small batches, each stored at once, unless it shall be fast.
func (c counting) config() Config {
	cfg := Config{
		Feed: feed.Config{Kafka: c.Kafka, Topics: c.Topics, Start: feed.Start{Beginning: true}, Follow: c.Follow,
			OpenTime: 30 * time.Second, Most: 100},
		Size: testSize, Grace: testGrace, Every: time.Millisecond, Idle: time.Hour,
		Show: func(Window) {}, Note: func(string) {},
	}
	if c.Fast {
		cfg.Feed.Most, cfg.Every = 0, time.Second
	}
	return cfg
}

func (c counting) run(ctx context.Context) (Summary, error) {
	cfg := c.config()
	store, err := OpenStore(ctx, c.connect, c.job(), c.Kafka.TopicPrefix)
	if err != nil {
		return Summary{}, err
	}
	defer store.Close()
	cfg.Store = store
	return Run(ctx, cfg)
}

// setup makes topics of three partitions each and an empty database.
func setup(t *testing.T, topics ...string) counting {
	t.Helper()
	c := counting{Topics: topics, Kafka: kafka.Config{Brokers: testkit.Brokers(t), TopicPrefix: testkit.Prefix(t)}}
	specs := make([]kafka.TopicSpec, len(topics))
	for i, name := range topics {
		specs[i] = kafka.TopicSpec{Name: name, Partitions: 3, ReplicationFactor: 1}
	}
	_, err := kafka.CreateTopics(t.Context(), c.Kafka, specs)
	require.NoError(t, err)
	c.Database = testkit.Database(t, func(context.Context, string) error { return nil }).AdminURL
	return c
}

// traffic writes n records at random over the topics and their partitions, and returns what they come to.
func (c counting) traffic(t *testing.T, n int, seed uint64) expected {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer client.Close()
	want := expected{rows: map[string]string{}}
	newest := map[string]time.Time{}
	sums := map[string][3]int64{}
	begin := time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)
	for i := range n {
		r := &kgo.Record{Topic: c.Kafka.TopicPrefix + c.Topics[random.IntN(len(c.Topics))], Partition: int32(random.IntN(3))}
		at := begin.Add(time.Duration(i) * 10 * time.Minute / time.Duration(n)).Add(-time.Duration(random.ExpFloat64() * float64(20*time.Second))).Truncate(time.Millisecond)
		name, cents := []string{"page_view", "add_to_cart", "checkout"}[random.IntN(3)], random.Int64N(100_000)
		currency := []string{"USD", "EUR"}[random.IntN(2)]
		switch random.IntN(10) {
		case 0:
			r.Value = []byte("no JSON")
			want.NotJSON++
		default:
			stamp := `"` + at.Format(time.RFC3339Nano) + `"`
			if random.IntN(2) == 0 {
				stamp = strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)
			}
			amount := fmt.Sprintf(`, "amount": %d.%02d, "currency": "%s"`, cents/100, cents%100, currency)
			if name == "page_view" {
				amount, cents, currency = "", 0, ""
			}
			r.Value = fmt.Appendf(nil, `{"event": "%s", "timestamp": %s%s}`, name, stamp, amount)
			partition := fmt.Sprint(r.Topic, r.Partition)
			start := at.Truncate(testSize)
			key := strings.Join([]string{start.Format(time.RFC3339), name, currency}, " ")
			sum := sums[key]
			if seen, ok := newest[partition]; ok && !start.Add(testSize+testGrace).After(seen) {
				sum[2]++
				want.Late++
			} else {
				sum[0], sum[1] = sum[0]+1, sum[1]+cents
				want.Counted++
			}
			sums[key] = sum
			if at.After(newest[partition]) {
				newest[partition] = at
			}
		}
		want.Read++
		client.Produce(t.Context(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	require.NoError(t, client.Flush(t.Context()))
	for key, sum := range sums {
		want.rows[key] = fmt.Sprintf("%d events, %d.%02d, %d late", sum[0], sum[1]/100, sum[1]%100, sum[2])
	}
	return want
}

// expected is what records come to; rows are by window, event and currency.
type expected struct {
	Counters
	rows map[string]string
}

// stored reads the rows of the table in the same notation.
func (c counting) stored(t *testing.T) map[string]string {
	t.Helper()
	conn, err := c.connect(t.Context())
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	const query = `SELECT window_start, event, currency, count, round(sum, 2)::text, late FROM windows.counts WHERE job = $1`
	rows, err := conn.Query(t.Context(), query, c.job().Name)
	require.NoError(t, err)
	found := map[string]string{}
	var start time.Time
	var event, currency, sum string
	var count, late int64
	_, err = pgx.ForEachRow(rows, []any{&start, &event, &currency, &count, &sum, &late}, func() error {
		found[strings.Join([]string{start.UTC().Format(time.RFC3339), event, currency}, " ")] = fmt.Sprintf("%d events, %s, %d late", count, sum, late)
		return nil
	})
	require.NoError(t, err)
	return found
}
