//go:build clients

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
)

// program is a client of another language: it writes one order as README does and reads what becomes of it. What it says on
// standard output is one JSON object a line.
type program struct {
	name    string
	command []string
	environ []string
}

// line is what a program says: the partitions that it chose for keys, or one record of its order.
type line struct {
	Kind       string
	Partitions map[string]int
	Default    map[string]int // librdkafka's own partitioner
	Legacy     map[string]int // that of KafkaJS before version 2
	Topic, Key string
	CeType     string `json:"ce_type"`
	Body       map[string]any
}

// programs are the newest clients, where `make test SUITE=clients` installed them. CLIENTS_INSTALLED and SPARK_INSTALLED name the folders.
func programs(t *testing.T) []program {
	t.Helper()
	clients, spark := os.Getenv("CLIENTS_INSTALLED"), os.Getenv("SPARK_INSTALLED")
	require.NotEmpty(t, clients, "needs the clients of other languages: run `make test SUITE=clients`")
	require.NotEmpty(t, spark, "needs PySpark: run `make test SUITE=clients`")
	jars, err := filepath.Glob(filepath.Join(spark, "jars", "*.jar"))
	require.NoError(t, err)
	python := filepath.Join(clients, "venv", "bin", "python")
	return []program{
		{name: "spark", command: []string{filepath.Join(spark, "venv", "bin", "python"), "clients/spark.py"},
			environ: []string{"SPARK_LOCAL_IP=127.0.0.1", "PYSPARK_SUBMIT_ARGS=--jars " + strings.Join(jars, ",") + " pyspark-shell"}},
		{name: "java", command: []string{"java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(clients, "jars", "*"), "clients/Plain.java"}},
		{name: "kafka-python", command: []string{python, "clients/kafka_python.py"}},
		{name: "confluent-kafka", command: []string{python, "clients/confluent.py"}},
		{name: "aiokafka", command: []string{python, "clients/aio.py"}},
		{name: "kafkajs", command: []string{"node", "clients/kafkajs.js"}, environ: []string{"NODE_PATH=" + filepath.Join(clients, "node_modules")}},
	}
}

// The newest client of each language writes one order and reads what becomes of it. All agree on what they read, and on the
// partition of each key.
func TestPlainClientsWriteAndReadOneOrderEach(t *testing.T) {
	t.Parallel()
	require.NotEmpty(t, os.Getenv("KAFKA_BROKERS"), "needs a real Kafka: run `make test SUITE=clients`")
	var started stack.Config
	s := start(t, func(cfg *stack.Config) { started = *cfg })
	env := scenario.On(s)
	_, err := kafka.CreateTopics(t.Context(), env.Kafka, []kafka.TopicSpec{
		{Name: "keys", Partitions: 6, ReplicationFactor: 1}, {Name: "spark-keys", Partitions: 6, ReplicationFactor: 1}})
	require.NoError(t, err)

	var mu sync.Mutex
	// franz-go is first: it compresses with snappy unless it is told not to, and every other client meets its record.
	chosen := reads(t, franz(t, env.Kafka.Brokers, started.TopicPrefix, "by-franz-go"), "by-franz-go", "u-franz-go")
	t.Run("each", func(t *testing.T) {
		for _, p := range programs(t) {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				order := "by-" + p.name
				said := p.run(t, env.Kafka.Brokers[0], started.TopicPrefix, order)
				partitions := reads(t, said, order, "u-"+p.name)
				mu.Lock()
				defer mu.Unlock()
				maps.Copy(chosen, partitions)
				testkit.Eventually(t, func() error {
					for _, email := range env.Emails() {
						if strings.Contains(email.Message, "Order "+order+" confirmed!") {
							return nil
						}
					}
					return fmt.Errorf("no email about %s", order)
				})
			})
		}
	})

	java := chosen["u-java"]
	require.Equal(t, 0, java["1001"], "as docs/contract.md says")
	for client, partitions := range chosen {
		switch client {
		case "u-confluent-kafka default":
			require.Equal(t, 5, partitions["1001"], "librdkafka's own: as docs/contract.md says")
		case "u-kafkajs legacy":
			require.Equal(t, 2, partitions["1001"], "KafkaJS before version 2: as docs/contract.md says")
		default:
			require.Equal(t, java, partitions, client)
		}
	}
	require.Len(t, chosen, 9)
}

// A share consumer takes no isolation.level, and reads what was aborted unless its group says otherwise.
func TestPlainClientsOfShareGroupsReadAbortedRecordsUnlessTheGroupSaysOtherwise(t *testing.T) {
	t.Parallel()
	broker, _, _ := strings.Cut(os.Getenv("KAFKA_BROKERS"), ",")
	require.NotEmpty(t, broker, "needs a real Kafka: run `make test SUITE=clients`")
	clients := os.Getenv("CLIENTS_INSTALLED")
	require.NotEmpty(t, clients, "needs the clients of other languages: run `make test SUITE=clients`")
	cmd := exec.CommandContext(t.Context(), "java", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(clients, "jars", "*"),
		"clients/Shared.java", broker, testkit.Prefix(t))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	require.NoError(t, err, "%s\n%s", out, errs.String())
	require.Equal(t, "isolation.level: refused\n"+
		"as Kafka sets it: [aborted, committed]\n"+
		"share.isolation.level=read_committed: [committed]\n", string(out))
}

// run runs the program and returns what it said.
func (p program) run(t *testing.T, broker, prefix, order string) []line {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.command[0], append(slices.Clone(p.command[1:]), broker, prefix, order)...)
	cmd.Env = append(os.Environ(), p.environ...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	began := time.Now()
	out, err := cmd.Output()
	require.NoError(t, err, "%s\n%s\n%s", strings.Join(p.command, " "), out, errs.String())
	t.Logf("%s: %.1f s", p.name, time.Since(began).Seconds())
	var said []line
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var l line
		require.NoError(t, json.Unmarshal(lines.Bytes(), &l), lines.Text())
		said = append(said, l)
	}
	require.NoError(t, lines.Err())
	return said
}

// reads checks the records that a client read of its order, and returns the partitions that it chose for keys.
func reads(t *testing.T, said []line, order, user string) map[string]map[string]int {
	t.Helper()
	chosen := map[string]map[string]int{}
	var seen []string
	for _, l := range said {
		if l.Kind == "keys" {
			chosen[user] = l.Partitions
			if l.Default != nil {
				chosen[user+" default"] = l.Default
			}
			if l.Legacy != nil {
				chosen[user+" legacy"] = l.Legacy
			}
			continue
		}
		body := l.Body
		require.Equal(t, order, body["order_id"])
		require.Equal(t, user, body["user_id"])
		event, _ := body["event"].(string)
		what := l.Topic + " " + event
		if l.Topic == messages.TopicNotifications {
			require.Equal(t, "email", body["channel"])
			what += " " + fmt.Sprint(body["kind"])
		}
		if event == messages.EventNotificationRequested {
			require.Equal(t, "Order "+order+" confirmed!", body["message"])
		}
		seen = append(seen, what)
		if event == "" { // the client's own
			require.Empty(t, l.Key)
			require.Empty(t, l.CeType)
			require.Equal(t, map[string]any{"order_id": order, "user_id": user, "total": 49.99}, body)
			continue
		}
		require.Equal(t, order, l.Key)
		require.Equal(t, "pasdetrois."+event+".v1", l.CeType)
		if l.Topic == messages.TopicPayments {
			require.Equal(t, 49.99, body["amount"])
			require.Equal(t, "USD", body["currency"])
		}
	}
	// A client stops at the last of these. The order's outcome, on another topic, comes before or after that, and the email's
	// outcome comes after its request.
	outcomes := []string{"orders " + messages.EventOrderConfirmed, "notifications " + messages.EventNotificationSent + " confirmed"}
	seen = slices.DeleteFunc(seen, func(what string) bool { return slices.Contains(outcomes, what) })
	slices.Sort(seen)
	require.Equal(t, []string{"notifications notification_requested confirmed", "orders ", "payments payment_captured",
		"payments payment_requested"}, slices.Compact(seen))
	return chosen
}

// franz does what the programs do, with franz-go.
func franz(t *testing.T, brokers []string, prefix, order string) []line {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	topics := messages.TopicNames()
	for i := range topics {
		topics[i] = prefix + topics[i]
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topics...), kgo.ConsumerGroup(prefix+"reads.franz-go"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	require.NoError(t, err)
	defer c.Close()
	keys := line{Kind: "keys", Partitions: map[string]int{}}
	for _, key := range []string{"1001", "ord-1001", "f-1", "Žofie", "7", "01a1fcf9-86cc-799b-8b8b-a86d9314810d"} {
		r, err := c.ProduceSync(ctx, &kgo.Record{Topic: prefix + "keys", Key: []byte(key), Value: []byte("{}")}).First()
		require.NoError(t, err)
		keys.Partitions[key] = int(r.Partition)
	}
	said := []line{keys}
	value := fmt.Sprintf(`{"order_id": %q, "user_id": "u-franz-go", "total": 49.99}`, order)
	require.NoError(t, c.ProduceSync(ctx, &kgo.Record{Topic: topics[0], Value: []byte(value)}).FirstErr())
	for left := map[any]bool{nil: true, "payment_requested": true, "payment_captured": true, "notification_requested": true}; len(left) > 0; {
		fetched := c.PollFetches(ctx)
		require.NoError(t, fetched.Err(), "not seen: %v", left)
		fetched.EachRecord(func(r *kgo.Record) {
			l := line{Kind: "record", Topic: strings.TrimPrefix(r.Topic, prefix), Key: string(r.Key)}
			require.NoError(t, json.Unmarshal(r.Value, &l.Body))
			if l.Body["order_id"] != order {
				return
			}
			for _, h := range r.Headers {
				if h.Key == "ce_type" {
					l.CeType = string(h.Value)
				}
			}
			delete(left, l.Body["event"])
			said = append(said, l)
		})
	}
	return said
}
