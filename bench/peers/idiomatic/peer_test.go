package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
)

// asCommand in the environment makes this test binary the command itself.
const asCommand = "PEERS_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	testkit.Main(m)
}

// peer is one arm of the benchmark, run as the harness runs it: processes, an environment, HTTP.
type peer struct {
	t       *testing.T
	command []string
	env     []string
	db      *testkit.DB
	brokers []string
	prefix  string
}

// newPeer prepares a database and topics of its own. command is what a role is added to.
func newPeer(t *testing.T, command []string, env ...string) *peer {
	t.Helper()
	p := &peer{t: t, command: command, prefix: testkit.Prefix(t), brokers: testkit.Brokers(t),
		db: testkit.Database(t, func(context.Context, string) error { return nil })}
	var topics []kafka.TopicSpec
	for _, topic := range messages.Topics() {
		topics = append(topics, kafka.TopicSpec{Name: topic.Name, Partitions: int32(topic.Partitions), ReplicationFactor: 1})
	}
	_, err := kafka.CreateTopics(t.Context(), kafka.Config{Brokers: p.brokers, TopicPrefix: p.prefix}, topics)
	require.NoError(t, err)
	p.env = append(os.Environ(), append(env, "KAFKA_BROKERS="+strings.Join(p.brokers, ","), "KAFKA_TOPIC_PREFIX="+p.prefix,
		"KAFKA_GROUP_PREFIX="+p.prefix, "DATABASE_ADMIN_URL="+p.db.AdminURL, "HTTP_ADDR=127.0.0.1:0")...)
	return p
}

func (p *peer) process(ctx context.Context, roles ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.command[0], append(p.command[1:], roles...)...)
	cmd.Env = p.env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	return cmd
}

// start starts one process, waits until it consumes and returns its address. The process has to end cleanly on SIGTERM
// when the test does.
func (p *peer) start(roles ...string) (url string, stdout *lines) {
	p.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := p.process(ctx, roles...)
	stdout, log := &lines{}, &lines{}
	cmd.Stdout, cmd.Stderr = stdout, log
	require.NoError(p.t, cmd.Start())
	p.t.Cleanup(func() {
		stop()
		if err := cmd.Wait(); !cmd.ProcessState.Success() {
			p.t.Errorf("%v did not end cleanly: %v\n%s", roles, err, log)
		}
	})
	testkit.Eventually(p.t, func() error {
		for scan := bufio.NewScanner(strings.NewReader(log.String())); scan.Scan(); {
			var line struct{ Addr string }
			if json.Unmarshal(scan.Bytes(), &line) == nil && line.Addr != "" {
				url = "http://" + line.Addr
				return nil
			}
		}
		return fmt.Errorf("%v does not listen:\n%s", roles, log)
	})
	testkit.Eventually(p.t, func() error {
		status, body, err := get(url + "/healthz")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%v answers %d %s\n%s", roles, status, body, log)
		}
		return err
	})
	return url, stdout
}

func (p *peer) place(url, sku string, quantity int) (orderID string) {
	p.t.Helper()
	body := fmt.Sprintf(`{"user_id": "ada", "items": [{"sku": %q, "quantity": %d}]}`, sku, quantity)
	r, err := http.Post(url+"/orders", "application/json", strings.NewReader(body))
	require.NoError(p.t, err)
	defer r.Body.Close()
	answer, err := io.ReadAll(r.Body)
	require.NoError(p.t, err)
	require.Equal(p.t, http.StatusAccepted, r.StatusCode, "%s", answer)
	var placed struct {
		OrderID string `json:"order_id"`
	}
	require.NoError(p.t, json.Unmarshal(answer, &placed))
	require.NotEmpty(p.t, placed.OrderID)
	return placed.OrderID
}

// awaitEmails waits until the process at url has sent that many.
func (p *peer) awaitEmails(url string, want int) {
	p.t.Helper()
	testkit.Eventually(p.t, func() error {
		_, body, err := get(url + "/emails")
		if err != nil {
			return err
		}
		var sent struct {
			Count int
			Last  time.Time
		}
		if err := json.Unmarshal(body, &sent); err != nil || sent.Count != want || sent.Last.IsZero() {
			return fmt.Errorf("expected %d emails: %s (%w)", want, body, err)
		}
		return nil
	})
}

// audit runs the role audit.
func (p *peer) audit() (c struct {
	Orders, Confirmed, Emails int
	CapturedTotal             json.Number `json:"captured_total"`
	StockOK                   bool        `json:"stock_ok"`
}) {
	p.t.Helper()
	out, err := p.process(p.t.Context(), "audit").Output()
	require.NoError(p.t, err)
	require.NoError(p.t, json.Unmarshal(out, &c), "%s", out)
	return c
}

// settles places 50 orders with a peer of three processes and expects 50 emails, each once, and right books.
func (p *peer) settles() {
	p.t.Helper()
	orders, _ := p.start("orders")
	p.start("payments")
	notifications, emails := p.start("notifications")
	want := map[string]int{}
	for range 50 {
		want[p.place(orders, "vinyl-swan-lake", 2)] = 1
	}
	p.awaitEmails(notifications, 50)

	got := map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(emails.String()), "\n") {
		var email struct {
			OrderID string `json:"order_id"`
			Time    time.Time
		}
		require.NoError(p.t, json.Unmarshal([]byte(line), &email), "%s", line)
		require.WithinDuration(p.t, time.Now(), email.Time, time.Minute)
		got[email.OrderID]++
	}
	require.Equal(p.t, want, got)
	books := p.audit()
	require.Equal(p.t, 50, books.Orders)
	require.Equal(p.t, 50, books.Confirmed)
	require.Equal(p.t, 50, books.Emails)
	captured, err := books.CapturedTotal.Float64()
	require.NoError(p.t, err)
	require.InDelta(p.t, 4999, captured, 0.001)
	require.True(p.t, books.StockOK)
	require.Equal(p.t, "100", p.query(`SELECT sold::text FROM orders.inventory WHERE sku = 'vinyl-swan-lake'`))
}

func get(url string) (status int, body []byte, err error) {
	r, err := http.Get(url)
	if err != nil {
		return 0, nil, err
	}
	defer r.Body.Close()
	body, err = io.ReadAll(r.Body)
	return r.StatusCode, body, err
}

// lines is what a process writes, readable at any time.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
