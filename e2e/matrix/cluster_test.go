//go:build matrix

package matrix

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

// cluster starts three brokers, replication 3, min ISR 2, and returns their addresses and what runs a command on them.
func cluster(t *testing.T) (brokers string, do func(args ...string) error) {
	t.Helper()
	local, folder := kafkaLocal(t), t.TempDir()
	do = func(args ...string) error {
		cmd := exec.Command(local, args...)
		cmd.Env = append(os.Environ(), "KAFKA_DIR="+folder+"/kafka")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", args, err, out)
		}
		return nil
	}
	t.Cleanup(func() { _ = do("clean") })
	var err error
	for port := 23000 + os.Getpid()%5000; port < 30000; port += 37 { // some ports above it have to be free too
		l, busy := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if busy != nil {
			continue
		}
		require.NoError(t, l.Close())
		if err = do("start", "--brokers", "3", "--port", strconv.Itoa(port)); err == nil {
			var all []string
			for n := range 3 {
				all = append(all, net.JoinHostPort("127.0.0.1", strconv.Itoa(port+n)))
			}
			return strings.Join(all, ","), do
		}
		_ = do("clean")
	}
	require.NoError(t, err)
	return "", nil
}

// TestABrokerOfThreeThatIsKilledUnderLoadLosesNothing: every order that was accepted is paid once, told once, and every
// book agrees with the others and with the topics.
func TestABrokerOfThreeThatIsKilledUnderLoadLosesNothing(t *testing.T) {
	tool := pas(t)
	brokers, do := cluster(t)
	prefix := testkit.Prefix(t)
	s := system(t, environ{"KAFKA_BROKERS": brokers, "KAFKA_COMPRESSION": "lz4"}, prefix, 3)
	stdout, stderr, code := tool(environ{"KAFKA_BROKERS": brokers, "KAFKA_TOPIC_PREFIX": prefix}, "topics", "list")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "3         3", "three copies of each partition")

	stop, stopShopping := context.WithCancel(t.Context())
	var accepted sync.Map
	var count, again atomic.Int64
	var shoppers sync.WaitGroup
	for n := range 6 {
		shoppers.Go(func() {
			for i := 0; stop.Err() == nil; i++ {
				order := client.NewOrder{OrderID: fmt.Sprintf("shopper%d-%05d", n, i), UserID: "ada", Total: "5.00", Email: "ada@example.com"}
				for {
					if _, _, err := s.Client().Place(t.Context(), order, client.PlaceOptions{}); err == nil {
						break
					}
					again.Add(1)
				}
				accepted.Store(order.OrderID, true)
				count.Add(1)
				select { // a shopper takes a moment, so that the queue stays short
				case <-time.After(20 * time.Millisecond):
				case <-stop.Done():
				}
			}
		})
	}
	reach := func(more int64) {
		t.Helper()
		target := count.Load() + more
		require.Eventually(t, func() bool { return count.Load() >= target }, 2*time.Minute, 10*time.Millisecond)
	}
	settledAfter := func(what string) {
		t.Helper()
		began := time.Now()
		order, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "probe", Total: "1.00"}, client.PlaceOptions{})
		require.NoError(t, err)
		emailed(t, s, order.OrderID)
		t.Logf("%s: an order is through after %.1f s", what, time.Since(began).Seconds())
	}
	reach(300)
	require.NoError(t, do("kill", "2"))
	settledAfter("broker 2 killed")
	reach(300)
	require.NoError(t, do("start"))
	settledAfter("broker 2 back")
	require.NoError(t, do("kill", "1"))
	settledAfter("broker 1 killed")
	reach(300)
	stopShopping()
	shoppers.Wait()

	told := map[string]int{}
	require.Eventually(t, func() bool {
		clear(told)
		for _, e := range s.Emails() {
			if e.Kind == "confirmed" && strings.HasPrefix(e.OrderID, "shopper") {
				told[e.OrderID]++
			}
		}
		return len(told) >= int(count.Load())
	}, 3*time.Minute, 100*time.Millisecond, "every order is confirmed by an email")
	accepted.Range(func(id, _ any) bool {
		require.Equal(t, 1, told[id.(string)], "emails about %s", id)
		return true
	})
	require.Len(t, told, int(count.Load()), "emails about orders that nobody placed")
	require.Eventually(t, func() bool {
		stdout, stderr, code = tool(environ{"AUDIT_DATABASE_URL": s.AdminURL(), "KAFKA_BROKERS": brokers, "KAFKA_TOPIC_PREFIX": prefix},
			"audit", "--topics", "--grace", "0s")
		return code == 0
	}, time.Minute, time.Second)
	t.Logf("%d orders accepted, %d requests sent again; %d emails, one each\n%s", count.Load(), again.Load(), len(told), stdout)
}
