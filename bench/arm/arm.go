// Package arm knows how each way to process orders is started, loaded, counted and audited. All arms stand on the same
// Kafka and the same Postgres, each on topics and in a database of its own, and are loaded in the same way.
package arm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/bench/load"
	"pasdetrois/bench/process"
	"pasdetrois/bench/site"
)

// Env is what an arm is started with.
type Env struct {
	Plot     *site.Plot
	Brokers  []string
	Bin      string              // the folder of the built programs
	Logs     string              // the folder for what they write
	Replicas int                 // of each service, where the arm has services; 0 = 1
	Extra    map[string][]string // more environment, by service
}

// Arm is a way to process orders.
type Arm struct {
	Name  string
	Start func(ctx context.Context, e Env) (Running, error) // returns when it takes orders
}

// Running is an arm that runs.
type Running interface {
	// Target takes orders for the product that sku chooses for the nth order.
	Target(sku func(n int) string) load.Target
	// Emails counts the emails that were emitted so far.
	Emails(ctx context.Context) (int, error)
	// LastEmail returns how many emails are known to be emitted, and when the last of them was.
	LastEmail(ctx context.Context) (emails int, last time.Time, err error)
	// SentAt returns when each customer's email was emitted.
	SentAt(ctx context.Context) (map[string]time.Time, error)
	// Analyze lets the database know what its tables look like by now.
	Analyze(ctx context.Context) error
	// Audit returns nil when orders orders were taken, and each of them was charged once, delivered once and told once.
	Audit(ctx context.Context, orders int) error
	// Processes are the programs of the arm.
	Processes() []*process.Process
	// Stop ends them.
	Stop() error
}

// Products is how many products there are beside Hot, all of them in such numbers that none runs out.
const Products = 64

// Hot is the product that every arm has from the start.
const Hot = "vinyl-swan-lake"

// Uniform spreads orders over all products.
func Uniform(n int) string { return fmt.Sprintf("bench-%02d", n%Products) }

// OneProduct puts all orders on the same product.
func OneProduct(int) string { return Hot }

// User is the customer of the nth order. No two orders are by the same one, so that it names the order everywhere.
func User(n int) string { return fmt.Sprintf("u-%d", n) }

func body(n int, sku string) []byte {
	return fmt.Appendf(nil, `{"user_id":%q,"items":[{"sku":%q,"quantity":1}]}`, User(n), sku)
}

// readyTime is how long an arm may take to start.
const readyTime = 60 * time.Second

// AwaitEmails waits until n emails were emitted. It gives up when none was for patience.
func AwaitEmails(ctx context.Context, r Running, n int, every, patience time.Duration) error {
	last, since := -1, time.Now()
	for {
		sent, err := r.Emails(ctx)
		if err != nil {
			return err
		}
		if sent >= n {
			return nil
		}
		if sent > last {
			last, since = sent, time.Now()
		}
		if time.Since(since) > patience {
			return fmt.Errorf("%d of %d emails were emitted, and none in the last %s", sent, n, patience)
		}
		if err := alive(r.Processes()); err != nil {
			return err
		}
		if err := pause(ctx, every); err != nil {
			return err
		}
	}
}

func alive(all []*process.Process) error {
	var errs []error
	for _, p := range all {
		errs = append(errs, p.Alive())
	}
	return errors.Join(errs...)
}

// awaitReady waits until every URL answers 200.
func awaitReady(ctx context.Context, all []*process.Process, urls ...string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	for _, url := range urls {
		for {
			err := get(ctx, url)
			if err == nil {
				break
			}
			if ended := alive(all); ended != nil {
				return ended
			}
			if pause(ctx, 20*time.Millisecond) != nil {
				return fmt.Errorf("not ready: %w", err)
			}
		}
	}
	return nil
}

func get(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d", url, answer.StatusCode)
	}
	return nil
}

// The ports of programs are below those that Linux, macOS and IANA give to outgoing connections: one of those may be taken
// before the program listens on it.
const firstPort, endOfPorts = 26_000, 32_768

// reserve finds n ports on loopback that nobody listens on, for programs that are about to be started. Until release no other
// caller gets them, in this process or another: the UDP port of the same number, which nobody here needs, is held meanwhile.
func reserve(n int) (addresses []string, release func(), err error) {
	var held []net.PacketConn
	release = func() {
		for _, h := range held {
			_ = h.Close()
		}
	}
	for tries := 0; len(addresses) < n; tries++ {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(endOfPorts-firstPort))
		h, err := net.ListenPacket("udp", address)
		if err == nil {
			held = append(held, h)
			err = listenOnce(address)
		}
		if err == nil {
			addresses = append(addresses, address)
		} else if tries >= 1000 {
			release()
			return nil, nil, fmt.Errorf("find a free port: %w", err)
		}
	}
	return addresses, release, nil
}

func listenOnce(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}

// books is an arm's database.
type books struct{ url string }

// Analyze implements Running.
func (b books) Analyze(ctx context.Context) error { return b.execute(ctx, "ANALYZE") }

// All arms keep their notifications under these names.
const sentSQL = `SELECT user_id, sent_at FROM notifications.notifications WHERE sent_at IS NOT NULL`

// SentAt implements Running.
func (b books) SentAt(ctx context.Context) (map[string]time.Time, error) {
	sent := map[string]time.Time{}
	var user string
	var at time.Time
	return sent, b.read(ctx, []any{&user, &at}, func() { sent[user] = at }, sentSQL)
}

// read calls each for every row of a query.
func (b books) read(ctx context.Context, into []any, each func(), sql string, args ...any) error {
	conn, err := pgx.Connect(ctx, b.url)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return fmt.Errorf("read the database: %w", err)
	}
	_, err = pgx.ForEachRow(rows, into, func() error {
		each()
		return nil
	})
	return err
}

// execute runs statements.
func (b books) execute(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, b.url)
	if err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// pause waits, or returns why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
