package arm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pasdetrois/bench/load"
	"pasdetrois/bench/process"
)

// A peer is somebody else's way to process orders: a program in bench/peers/<name>, in Go, or with a script that starts it.
// It is started once for each service, with that service's name, KAFKA_BROKERS, KAFKA_TOPIC_PREFIX, KAFKA_GROUP_PREFIX,
// DATABASE_ADMIN_URL (a superuser's URL to a database of its own) and HTTP_ADDR; makes its own tables with the product Hot
// in them; answers GET /healthz with 200 once it is ready; takes POST /orders {"user_id", "items": [{"sku", "quantity"}]};
// tells GET /emails {"count", "last"}; and ends on SIGTERM. With the argument audit it writes what its database holds as
// JSON, and ends.
type peer struct{ name string }

// Idiomatic is the peer that is written as watermill's documentation recommends.
func Idiomatic() Arm { return Arm{Name: "idiomatic", Start: peer{"idiomatic"}.start} }

// Python is the peer that is written as guides to kafka-python show it.
func Python() Arm { return Arm{Name: "python", Start: peer{"python"}.start} }

// peerProductsSQL makes the products beside Hot.
const peerProductsSQL = `
INSERT INTO orders.inventory (sku, name, price_minor, available, stocked)
SELECT format('bench-%s', lpad(n::text, 2, '0')), 'A product', 1000 + n, 1000000000, 1000000000 FROM generate_series(0, 63) AS n`

// BuildPeer makes a peer ready to be started, in the folder bin. The repository is in root.
func BuildPeer(ctx context.Context, root, name, bin string) error {
	source := filepath.Join(root, "bench", "peers", name)
	if _, err := os.Stat(source); err != nil {
		return fmt.Errorf("there is no peer %s: %w", name, err)
	}
	target := filepath.Join(bin, "peer-"+name)
	if _, err := os.Stat(filepath.Join(source, "main.go")); err == nil {
		if _, err := process.Run(ctx, source, nil, "go", "build", "-buildvcs=false", "-o", target, "."); err != nil {
			return fmt.Errorf("build the peer %s: %w", name, err)
		}
		return nil
	}
	return preparePython(ctx, filepath.Join(source, "start"), target)
}

// preparePython makes target the peer's script, and has it install what it requires: it does so before it looks at its
// arguments, and then refuses a wrong one.
func preparePython(ctx context.Context, script, target string) error {
	script, err := filepath.Abs(script)
	if err != nil {
		return fmt.Errorf("find %s: %w", script, err)
	}
	if out, err := process.Run(ctx, "", nil, script, "nothing"); err == nil || !strings.Contains(out, "usage:") {
		return fmt.Errorf("prepare the Python peer (python3 with venv, and a package index, are needed): %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return fmt.Errorf("prepare the Python peer: %w", err)
	}
	return os.Symlink(script, target)
}

type runningPeer struct {
	peer
	books
	env       Env
	processes []*process.Process
	orders    string // address that takes orders
	emails    string // address that counts emails
}

func (p peer) start(ctx context.Context, e Env) (Running, error) {
	r := &runningPeer{peer: p, books: books{e.Plot.AdminURL}, env: e}
	addresses, release, err := reserve(len(Services()))
	if err != nil {
		return nil, err
	}
	defer release()
	var ready []string
	for i, role := range Services() {
		started, err := process.Start(process.Spec{Name: role, Path: filepath.Join(e.Bin, "peer-"+p.name), Args: []string{role},
			Logs: e.Logs, Env: append(r.environment(), "HTTP_ADDR="+addresses[i])})
		if err != nil {
			return nil, errors.Join(err, r.Stop())
		}
		r.processes = append(r.processes, started)
		ready = append(ready, "http://"+addresses[i]+"/healthz")
	}
	r.orders, r.emails = addresses[0], addresses[len(addresses)-1]
	if err := awaitReady(ctx, r.processes, ready...); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	if err := r.execute(ctx, peerProductsSQL); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

func (r *runningPeer) environment() []string {
	return []string{
		"PYTHONDONTWRITEBYTECODE=1", // the sources stay as they are
		"DATABASE_ADMIN_URL=" + r.env.Plot.AdminURL, "KAFKA_BROKERS=" + strings.Join(r.env.Brokers, ","),
		"KAFKA_TOPIC_PREFIX=" + r.env.Plot.Prefix, "KAFKA_GROUP_PREFIX=" + r.env.Plot.Prefix,
	}
}

func (r *runningPeer) Processes() []*process.Process { return r.processes }
func (r *runningPeer) Stop() error                   { return process.StopAll(r.processes) }

func (r *runningPeer) Target(sku func(int) string) load.Target {
	return load.Target{Addresses: []string{r.orders}, Body: func(n int) []byte { return body(n, sku(n)) }}
}

func (r *runningPeer) Emails(ctx context.Context) (int, error) {
	emails, _, err := r.LastEmail(ctx)
	return emails, err
}

func (r *runningPeer) LastEmail(ctx context.Context) (int, time.Time, error) {
	var emails struct {
		Count int
		Last  time.Time
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.emails+"/emails", nil)
	if err != nil {
		return 0, emails.Last, fmt.Errorf("count emails: %w", err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, emails.Last, fmt.Errorf("count emails: %w", err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&emails); err != nil || answer.StatusCode != http.StatusOK {
		return 0, emails.Last, fmt.Errorf("count emails: answered %d, %v", answer.StatusCode, err)
	}
	return emails.Count, emails.Last, nil
}

// peerCount is what a peer says its database holds.
type peerCount struct {
	Orders        int         `json:"orders"`
	Confirmed     int         `json:"confirmed"`
	CapturedTotal json.Number `json:"captured_total"`
	Emails        int         `json:"emails"`
	StockOK       bool        `json:"stock_ok"`
}

// Audit implements Running.
func (r *runningPeer) Audit(ctx context.Context, orders int) error {
	out, err := process.Run(ctx, "", r.environment(), filepath.Join(r.env.Bin, "peer-"+r.name), "audit")
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return readCount(out, orders)
}

func readCount(out string, orders int) error {
	var c peerCount
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		return fmt.Errorf("audit: %w: %s", err, out)
	}
	if c.Orders != orders || c.Confirmed != orders || c.Emails != orders || !c.StockOK {
		return fmt.Errorf("the audit failed: of %d orders %d are there, %d confirmed, %d emails; stock right: %t",
			orders, c.Orders, c.Confirmed, c.Emails, c.StockOK)
	}
	return nil
}
