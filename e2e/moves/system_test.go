//go:build moves

package moves

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/e2e/programs"
	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/toolbox/client"
)

// patience is for everything that a busy machine may take its time for.
const patience = 90 * time.Second

// system is one installation: its topics, its customers, and the services on one server or another.
type system struct {
	*testing.T
	name, pas string
	brokers   string
	environ   map[string]string // of the services
	shop      shop
	running   *stack.Stack
	mails     mails
}

// mails counts the emails of all lives of notifications by Message-ID.
type mails struct {
	mu sync.Mutex
	by map[string]int
}

func (m *mails) took(e stack.Email) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.by == nil {
		m.by = map[string]int{}
	}
	m.by[e.MessageID]++
}

func (m *mails) all() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.by)
}

func newSystem(t *testing.T) *system {
	t.Helper()
	s := &system{T: t, name: fmt.Sprintf("moves-%d-", time.Now().UnixNano()), pas: programs.Tool(t), brokers: os.Getenv("KAFKA_BROKERS")}
	if s.brokers == "" {
		require.FailNow(t, "there is no Kafka: set KAFKA_BROKERS, as `make test SUITE=moves` does")
	}
	s.shop.prefix = strings.ReplaceAll(s.name, "moves", "o")
	s.Cleanup(s.stop)
	return s
}

// run starts the services on a server.
func (s *system) run(on *server) {
	s.Helper()
	running, err := stack.Start(s.Context(), stack.Config{DatabaseURL: on.url(), Brokers: []string{s.brokers},
		TopicPrefix: s.name, GroupPrefix: s.name, Environ: s.environ, OnEmail: s.mails.took})
	require.NoError(s, err)
	s.running = running
	s.shop.at.Store(running.Client())
}

func (s *system) stop() {
	if s.running != nil {
		s.shop.at.Store(nil)
		_ = s.running.Stop()
		s.running = nil
	}
}

// command runs pas on a server.
func (s *system) command(on *server, args ...string) (string, error) {
	cmd := exec.CommandContext(s.Context(), s.pas, args...)
	cmd.Env = append(os.Environ(), "DATABASE_ADMIN_URL="+on.url(), "AUDIT_DATABASE_URL="+pgdb.As(on.url(), migrations.Auditor), "KAFKA_BROKERS="+s.brokers,
		"KAFKA_TOPIC_PREFIX="+s.name, "KAFKA_GROUP_PREFIX="+s.name)
	for _, service := range []string{"orders", "payments", "notifications"} {
		cmd.Env = append(cmd.Env, strings.ToUpper(service)+"_DATABASE_URL="+pgdb.As(on.url(), service))
	}
	if s.running != nil {
		for _, service := range []string{"orders", "payments", "notifications"} {
			at := s.running.Client().Endpoint(service)
			name := "PAS_" + strings.ToUpper(service)
			cmd.Env = append(cmd.Env, name+"_URL="+at.Public, name+"_ADMIN_URL="+at.Admin)
		}
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// eventually waits until is returns nil.
func (s *system) eventually(is func() error) {
	s.Helper()
	deadline := time.After(patience)
	for {
		err := is()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			require.NoError(s, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// outcomes returns how each order ended. It waits until all have.
func (s *system) outcomes(on *server) map[string]string {
	s.Helper()
	var found map[string]string
	s.eventually(func() (err error) {
		found, err = read(s.Context(), on.url())
		for id, outcome := range found {
			switch strings.Fields(outcome)[0] {
			case "pending", "awaiting_payment", "cancelling":
				return fmt.Errorf("%s is %s", id, outcome)
			}
		}
		return err
	})
	return found
}

func read(ctx context.Context, url string) (map[string]string, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `SELECT order_id, status || ' ' || reason || ' ' || payment_id FROM orders.audit_orders`)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	var id, outcome string
	_, err = pgx.ForEachRow(rows, []any{&id, &outcome}, func() error { found[id] = outcome; return nil })
	return found, err
}

// whole: all that customers were told is there, and the books of all services and the topics agree.
func (s *system) whole(on *server) {
	s.Helper()
	there := s.outcomes(on)
	for id := range s.shop.taken() {
		require.Contains(s, there, id, "an order that was taken is lost")
	}
	s.eventually(func() error {
		out, err := s.command(on, "audit", "--topics", "--grace", "0s")
		if err != nil {
			return errors.New(out)
		}
		return nil
	})
}

// shop is customers who place one order after the other, and try each until it is taken.
type shop struct {
	prefix string
	next   int // number of the next order; of the customers' goroutine alone
	at     atomic.Pointer[client.Client]

	mu     sync.Mutex
	orders map[string]bool
	last   time.Time
	gap    time.Duration // longest time without an order that was taken
}

// open lets customers come until the returned function is called.
func (s *shop) open(t *testing.T) (shut func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if s.place(ctx, s.next) {
				s.next++
			}
		}
	}()
	shut = sync.OnceFunc(func() { stop(); <-done })
	t.Cleanup(shut)
	return shut
}

// place places the n-th order: of ten, one is declined and one is cancelled.
func (s *shop) place(ctx context.Context, n int) bool {
	at := s.at.Load()
	if at == nil {
		return false
	}
	id := fmt.Sprintf("%s%d", s.prefix, n)
	order := client.NewOrder{OrderID: id, UserID: "ada", Total: "5.00", Email: "ada@example.com"}
	if n%10 == 3 {
		order.PaymentMethod = "pm_card_chargeDeclined"
	}
	if _, _, err := at.Place(ctx, order, client.PlaceOptions{}); err != nil {
		return false
	}
	if n%10 == 7 {
		_, _ = at.Cancel(ctx, id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.orders == nil {
		s.orders, s.last = map[string]bool{}, now
	}
	s.orders[id], s.gap, s.last = true, max(s.gap, now.Sub(s.last)), now
	return true
}

func (s *shop) taken() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.orders)
}

// sells waits until n more orders are taken.
func (s *system) sells(n int) {
	s.Helper()
	begun := len(s.shop.taken())
	s.eventually(func() error {
		if now := len(s.shop.taken()); now < begun+n {
			return fmt.Errorf("%d of %d orders are taken", now-begun, n)
		}
		return nil
	})
}

// measured begins a measurement anew and returns the function that ends it.
func (s *system) measured(what string) (end func()) {
	s.shop.mu.Lock()
	s.shop.gap, s.shop.last = 0, time.Now()
	s.shop.mu.Unlock()
	return func() {
		s.shop.mu.Lock()
		defer s.shop.mu.Unlock()
		s.Logf("%s: no order was taken for %s; %d orders in all", what, s.shop.gap.Round(100*time.Millisecond), len(s.shop.orders))
	}
}
