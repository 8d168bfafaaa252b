//go:build full

package windows

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
)

// TestSparkAndPasCountTheSame gives `pas windows` and the Spark job the same 200,000 records and compares every count, sum
// and watermark; then Spark goes on where `pas windows` stopped, is killed, and `pas windows` resumes where Spark was.
func TestSparkAndPasCountTheSame(t *testing.T) {
	t.Parallel()
	require.NotEmpty(t, os.Getenv("KAFKA_BROKERS"), "needs a real Kafka: run `make test SUITE=full`")
	records := 200_000
	if given := os.Getenv("PAS_TEST_RECORDS"); given != "" {
		var err error
		records, err = strconv.Atoi(given)
		require.NoError(t, err)
	}
	const odd, ahead = 20_000, 13
	c := setup(t, "web-events", "payments", "orders", "order-failures")
	c.Fast = true
	plain := c
	plain.Topics = []string{"web-events", "payments"}
	want := plain.traffic(t, records-odd-ahead, 7)
	c.odd(t, "orders", odd)
	c.ahead(t, "order-failures", ahead)

	pas := c.named("pas")
	began := time.Now()
	cpu := pas.inChild(t)
	t.Logf("pas windows: %d records in %.1f s, %.1f s of CPU", records, time.Since(began).Seconds(), cpu.Seconds())
	require.Subset(t, pas.stored(t), want.rows)
	require.Greater(t, len(pas.stored(t)), len(want.rows))
	for row, is := range pas.stored(t) {
		if strings.Contains(row, " in time ") {
			require.Contains(t, is, " 0 late", row)
		}
	}

	spark := c.named("spark")
	began = time.Now()
	counters, cpu := spark.inSpark(t, 2_000_000)
	t.Logf("windows.py: %d records in %.1f s, %.1f s of CPU", records, time.Since(began).Seconds(), cpu.Seconds())
	require.EqualValues(t, records, counters.Read)
	require.Equal(t, pas.stored(t), spark.stored(t))
	require.Equal(t, pas.positions(t), spark.positions(t))

	handed := c.named("handed on")
	ctx, cancel := context.WithCancel(t.Context())
	cfg := handed.config()
	cfg.Feed.Follow, cfg.Feed.Most, cfg.Every = true, 1000, time.Millisecond
	cfg.Live = func(s Snapshot) {
		if s.Counters.Read > int64(records/3) {
			cancel()
		}
	}
	store, err := handed.open(t, handed.job())
	require.NoError(t, err)
	cfg.Store = store
	first, err := Run(ctx, cfg)
	require.NoError(t, err)
	store.Close()
	cancel()
	require.Less(t, first.Read, int64(records))
	began = time.Now()
	handed.killSpark(t)
	t.Logf("windows.py went on and was killed after %.1f s", time.Since(began).Seconds())
	last, err := handed.run(t.Context())
	require.NoError(t, err)
	require.Positive(t, last.Read)
	require.Less(t, last.Read, int64(records)-first.Read)
	require.Equal(t, pas.stored(t), handed.stored(t))
	require.Equal(t, pas.positions(t), handed.positions(t))
}

// ahead writes a record that is 59 minutes ahead of the clock, then others of now, some of them late.
func (c counting) ahead(t *testing.T, topic string, n int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	require.NoError(t, err)
	defer client.Close()
	for i := range n {
		r := &kgo.Record{Topic: c.Kafka.TopicPrefix + topic, Value: []byte(`{"event":"in time"}`), Timestamp: time.Now()}
		switch {
		case i == 0:
			r.Timestamp = r.Timestamp.Add(59 * time.Minute)
		case i%3 == 0:
			r.Value = fmt.Appendf(nil, `{"event":"late","timestamp":%d}`, time.Now().Add(-10*time.Minute).Unix())
		}
		require.NoError(t, client.ProduceSync(t.Context(), r).FirstErr())
	}
}

func (c counting) named(job string) counting {
	c.Job = job
	return c
}

func (c counting) positions(t *testing.T) map[partition]position {
	t.Helper()
	conn, err := c.connect(t.Context())
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	at, err := positions(t.Context(), conn, c.Job, c.Kafka.TopicPrefix)
	require.NoError(t, err)
	return at
}

// inChild counts what there is in a process of its own and returns what CPU it took.
func (c counting) inChild(t *testing.T) time.Duration {
	t.Helper()
	encoded, err := json.Marshal(c)
	require.NoError(t, err)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+string(encoded))
	child.Stderr = os.Stderr
	require.NoError(t, child.Run())
	return child.ProcessState.UserTime() + child.ProcessState.SystemTime()
}

// spark prepares the Spark job, in a session of its own so that all its processes can be found.
func (c counting) spark(t *testing.T, atOnce int) *exec.Cmd {
	t.Helper()
	installed, err := filepath.Abs("../../.cache/spark")
	require.NoError(t, err)
	python := filepath.Join(installed, "venv", "bin", "python")
	require.FileExists(t, python, "run `make test SUITE=full`, which installs it")
	job := exec.Command(python, append([]string{"-B", filepath.Join(sparkFolder, "windows.py"), "--job", c.Job, "--from-beginning", "--once",
		"--at-once", strconv.Itoa(atOnce)}, c.Topics...)...)
	job.Env = append(os.Environ(), "DATABASE_URL="+c.Database, "KAFKA_BROKERS="+strings.Join(c.Kafka.Brokers, ","),
		"KAFKA_TOPIC_PREFIX="+c.Kafka.TopicPrefix, "SPARK_KAFKA_JARS="+filepath.Join(installed, "jars"))
	if os.Getenv("PAS_TEST_RECORDS") == "" { // most of a short run is its JVM's start: nothing runs long enough to be compiled well
		job.Env = append(job.Env, "JDK_JAVA_OPTIONS=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
	}
	job.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return job
}

// inSpark counts what there is with Spark and returns what CPU it took, as far as it was seen.
func (c counting) inSpark(t *testing.T, atOnce int) (Counters, time.Duration) {
	t.Helper()
	job := c.spark(t, atOnce)
	var stdout, stderr bytes.Buffer
	job.Stdout, job.Stderr = &stdout, &stderr
	require.NoError(t, job.Start())
	ended := make(chan error, 1)
	go func() { ended <- job.Wait() }()
	seen := map[int]time.Duration{}
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			require.NoError(t, err, stderr.String())
			var counters Counters
			require.NoError(t, json.Unmarshal(stdout.Bytes(), &counters), stdout.String())
			var total time.Duration
			for cpu := range maps.Values(seen) {
				total += cpu
			}
			return counters, total
		case <-look.C:
			maps.Copy(seen, session(job.Process.Pid))
		}
	}
}

// killSpark kills the Spark job, all its processes at once, when it has stored something more and not everything.
func (c counting) killSpark(t *testing.T) {
	t.Helper()
	before := c.positions(t)
	job := c.spark(t, 10_000)
	var stderr bytes.Buffer
	job.Stderr = &stderr
	require.NoError(t, job.Start())
	require.Eventually(t, func() bool {
		return !maps.Equal(before, c.positions(t))
	}, 5*time.Minute, 10*time.Millisecond, "it stored nothing")
	require.NoError(t, syscall.Kill(-job.Process.Pid, syscall.SIGKILL))
	require.Error(t, job.Wait(), "it was not killed in the middle")
	for len(session(job.Process.Pid)) > 0 { // Python workers may have groups of their own
		for pid := range session(job.Process.Pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// session returns the CPU time of each process of a session, by process id.
func session(id int) map[int]time.Duration {
	const tick = 10 * time.Millisecond
	found := map[int]time.Duration{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		content, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		pid, _ := strconv.Atoi(strings.Split(name, "/")[2])
		_, rest, _ := strings.Cut(string(content), ") ")
		fields := strings.Fields(rest) // from the third field on
		if len(fields) < 15 || fields[3] != strconv.Itoa(id) || fields[0] == "Z" {
			continue
		}
		user, _ := strconv.ParseInt(fields[11], 10, 64)
		system, _ := strconv.ParseInt(fields[12], 10, 64)
		found[pid] = time.Duration(user+system) * tick
	}
	return found
}

// TestSparkDoesNotGoOnInAnotherTopicOfTheSameName: what `pas windows` stored of the old one says so.
func TestSparkDoesNotGoOnInAnotherTopicOfTheSameName(t *testing.T) {
	t.Parallel()
	require.NotEmpty(t, os.Getenv("KAFKA_BROKERS"), "needs a real Kafka: run `make test SUITE=full`")
	c := setup(t, "web-events").named("made anew")
	c.traffic(t, 100, 7)
	_, err := c.run(t.Context())
	require.NoError(t, err)
	counters, _ := c.inSpark(t, 1000)
	require.Zero(t, counters.Read, "the same topic goes on")

	client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Brokers...))
	require.NoError(t, err)
	defer client.Close()
	answer, err := kadm.NewClient(client).DeleteTopic(t.Context(), c.Kafka.TopicPrefix+"web-events")
	require.NoError(t, err)
	require.NoError(t, answer.Err)
	testkit.Eventually(t, func() error {
		made, err := kafka.CreateTopics(t.Context(), c.Kafka, []kafka.TopicSpec{{Name: "web-events", Partitions: 3, ReplicationFactor: 1}})
		if err == nil && len(made) == 0 { // Kafka deletes a moment after it said so
			err = errors.New("the old topic is still there")
		}
		return err
	})
	c.traffic(t, 1000, 8)
	job := c.spark(t, 1000)
	var stderr bytes.Buffer
	job.Stderr = &stderr
	require.Error(t, job.Run())
	require.Contains(t, stderr.String(), "was deleted and created again since it was read; what is stored was counted in the old topic: begin again with another --job")
	require.NotContains(t, stderr.String(), "Traceback")
}
