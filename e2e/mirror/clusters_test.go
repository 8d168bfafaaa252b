//go:build mirror

package mirror

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// cluster is a real broker of its own.
type cluster struct {
	brokers string
	client  *kgo.Client
	admin   *kadm.Client
}

// startCluster starts a broker on the first free port from one on.
func startCluster(t *testing.T, from int) *cluster {
	t.Helper()
	local, folder := os.Getenv("KAFKA_LOCAL"), t.TempDir()
	if info, err := os.Stat(local); err != nil || info.Mode()&0o111 == 0 {
		require.FailNow(t, "there is no Kafka: this test starts two, so set KAFKA_LOCAL to the full path of a command that starts one")
	}
	do := func(args ...string) error {
		cmd := exec.Command(local, args...)
		cmd.Env = append(os.Environ(), "KAFKA_DIR="+filepath.Join(folder, "kafka"))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", args, err, out)
		}
		return nil
	}
	t.Cleanup(func() { _ = do("clean") })
	err := errors.New("every port is taken")
	for port := from; port < from+1000; port += 37 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, busy := net.Listen("tcp", address)
		if busy != nil {
			continue
		}
		require.NoError(t, l.Close())
		if err = do("start", "--port", strconv.Itoa(port)); err == nil {
			c := &cluster{brokers: address}
			c.client, err = kgo.NewClient(kgo.SeedBrokers(address))
			require.NoError(t, err)
			t.Cleanup(c.client.Close)
			c.admin = kadm.NewClient(c.client)
			return c
		}
		_ = do("clean")
	}
	require.NoError(t, err)
	return nil
}

func (c *cluster) write(t *testing.T, topic, key, value string) {
	t.Helper()
	r := &kgo.Record{Topic: topic, Value: []byte(value)}
	if key != "" {
		r.Key = []byte(key)
	}
	require.NoError(t, c.client.ProduceSync(t.Context(), r).FirstErr())
}

func topics() []string {
	var names []string
	for _, topic := range messages.Topics() {
		names = append(names, topic.Name)
	}
	return names
}

// content says what a record is, wherever it stands.
func content(r *kgo.Record) string {
	return fmt.Sprintf("%s %d %q %x %v", r.Topic, r.Timestamp.UnixMilli(), r.Key, sha256.Sum256(r.Value), r.Headers)
}

// contents counts what stands in the four topics now, by content.
func (c *cluster) contents(ctx context.Context) (map[string]int, error) {
	ends, err := c.admin.ListCommittedOffsets(ctx, topics()...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, err
	}
	left := map[string]map[int32]int64{}
	at := map[string]map[int32]kgo.Offset{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset == 0 {
			return
		}
		if left[o.Topic] == nil {
			left[o.Topic], at[o.Topic] = map[int32]int64{}, map[int32]kgo.Offset{}
		}
		left[o.Topic][o.Partition], at[o.Topic][o.Partition] = o.Offset, kgo.NewOffset().AtStart()
	})
	reader, err := kgo.NewClient(kgo.SeedBrokers(c.brokers), kgo.ConsumePartitions(at), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	found, open := map[string]int{}, 0
	for _, partitions := range left {
		open += len(partitions)
	}
	for open > 0 {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset < left[r.Topic][r.Partition] {
				found[content(r)]++
			}
			if r.Offset == left[r.Topic][r.Partition]-1 {
				open--
			}
		})
	}
	return found, nil
}
