package arm

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pasdetrois/bench/process"
)

// Peer is another way to process orders: a program in bench/peers/<name>, in Go, or with a script that starts
// it.
//
// The protocol: the benchmark starts the program once for each service, with the service's name as argument.
// The environment has KAFKA_BROKERS, KAFKA_TOPIC_PREFIX, KAFKA_GROUP_PREFIX, HTTP_ADDR, and DATABASE_ADMIN_URL:
// a superuser's, of an empty database. The program must
//
//   - create its tables, with the product Hot in them,
//   - answer GET /healthz with 200 once it is ready,
//   - accept POST /orders {"user_id", "items": [{"sku", "quantity"}]},
//   - answer GET /emails with {"count", "last"},
//   - end on SIGTERM,
//   - with the argument audit, write the contents of its database as JSON (see readCount).
func Peer(name string) Arm {
	return Arm{Name: name, Start: func(ctx context.Context, e Env) (*Running, error) { return startPeer(ctx, e, "peer-"+name) }}
}

// BuildPeer builds a peer into the folder bin, from the repository in root. A Go peer is compiled in its own
// module. Any other one installs its requirements through its script, which needs a network the first time.
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
	script, err := filepath.Abs(filepath.Join(source, "start"))
	if err != nil {
		return fmt.Errorf("find the script of the peer %s: %w", name, err)
	}
	// The script installs its requirements before it checks its arguments. A wrong argument therefore ends it
	// after the installation, with its usage.
	if out, err := process.Run(ctx, "", nil, script, "nothing"); err == nil || !strings.Contains(out, "usage:") {
		return fmt.Errorf("prepare the Python peer (python3 with venv, and a package index, are needed): %w", err)
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return fmt.Errorf("prepare the Python peer: %w", err)
	}
	return os.Symlink(script, target)
}

// The products are those of the product's own database: same ids, same prices, never out of stock.
const peerProductsSQL = `
INSERT INTO orders.inventory (sku, name, price_minor, available, stocked)
SELECT format('bench-%s', lpad(n::text, 2, '0')), 'A product', 1000 + n, 1000000000, 1000000000 FROM generate_series(0, 63) AS n`

// startPeer starts one process for each service. Peers count an email when its transaction commits, so that
// emitted and stored emails are one count.
func startPeer(ctx context.Context, e Env, program string) (*Running, error) {
	env := append(e.kafka(), "DATABASE_ADMIN_URL="+e.url, "PYTHONDONTWRITEBYTECODE=1")
	r := &Running{database: e.database}
	addresses, release, err := reserve(len(Services()))
	if err != nil {
		return nil, err
	}
	defer release()
	var urls []string
	for i, role := range Services() {
		urls = append(urls, "http://"+addresses[i]+"/healthz")
		if err == nil {
			err = r.start(e, role, program, addresses[i], append(env, "HTTP_ADDR="+addresses[i]), role)
		}
	}
	r.public = addresses[:1]
	r.stored = func(ctx context.Context) (int, time.Time, error) { return peerEmails(ctx, addresses[len(addresses)-1]) }
	r.emails = func(ctx context.Context) (int, error) {
		n, _, err := r.stored(ctx)
		return n, err
	}
	r.audit = func(ctx context.Context, orders, _ int) error {
		out, err := process.Run(ctx, "", env, filepath.Join(e.Bin, program), "audit")
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		return readCount(out, orders)
	}
	if _, err := r.ready(ctx, urls, err); err != nil {
		return nil, err
	}
	return r.ready(ctx, nil, r.exec(ctx, peerProductsSQL))
}

// peerEmails returns a peer's count of sent emails, and the time of the last one.
func peerEmails(ctx context.Context, address string) (int, time.Time, error) {
	var emails struct {
		Count int
		Last  time.Time
	}
	err := get(ctx, "http://"+address+"/emails", func(answer *http.Response) error { return json.NewDecoder(answer.Body).Decode(&emails) })
	if err != nil {
		err = fmt.Errorf("count emails: %w", err)
	}
	return emails.Count, emails.Last, err
}

// readCount compares a peer's counts of its database with the orders that it received. Each order must be
// confirmed with one email; peers are never sent orders that must be rejected.
func readCount(out string, orders int) error {
	var c struct {
		Orders, Confirmed, Emails int
		StockOK                   bool `json:"stock_ok"`
	}
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		return fmt.Errorf("audit: %w: %s", err, out)
	}
	if c.Orders != orders || c.Confirmed != orders || c.Emails != orders || !c.StockOK {
		return fmt.Errorf("the audit failed: of %d orders %d are there, %d confirmed, %d emails; stock right: %t",
			orders, c.Orders, c.Confirmed, c.Emails, c.StockOK)
	}
	return nil
}
