package arm

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"pasdetrois/bench/load"
	"pasdetrois/bench/process"
	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
)

// Pas is the product: its three services as separate programs, as shipped.
func Pas() Arm {
	return Arm{Name: "pas", Start: func(ctx context.Context, e Env) (Running, error) { return StartPas(ctx, e, Services()...) }}
}

// Services are the services of pas.
func Services() []string { return messages.Services() }

// RunningPas is pas.
type RunningPas struct {
	books
	processes []*process.Process
	public    map[string][]string // addresses by service, one for each replica
	admin     map[string][]string
	before    map[string]map[string]Histogram
}

// stockSQL makes products, and pieces of all of them for any run.
const stockSQL = `
INSERT INTO orders.inventory (sku, name, price_minor, currency)
SELECT format('bench-%s', lpad(n::text, 2, '0')), 'A product', 1000 + n, 'USD' FROM generate_series(0, 63) AS n
WHERE NOT EXISTS (SELECT FROM orders.inventory WHERE sku LIKE 'bench-%');
UPDATE orders.inventory SET available = 1000000000, stocked = 1000000000 + sold + reserved`

// Stock migrates a database for pas and puts the products into it, unless they are there.
func Stock(ctx context.Context, adminURL string) error {
	if err := migrations.Up(ctx, adminURL); err != nil {
		return err
	}
	return books{adminURL}.execute(ctx, stockSQL)
}

// Analyze lets a database count its rows.
func Analyze(ctx context.Context, adminURL string) error { return books{adminURL}.Analyze(ctx) }

// Database is a superuser's URL to its database.
func (r *RunningPas) Database() string { return r.url }

const scarceSQL = `INSERT INTO orders.inventory (sku, name, price_minor, currency, available, stocked) VALUES ('bench-scarce', 'A rare product', 1000, 'USD', $1, $1)`

// ScarceProduct puts all orders on the product of Scarce.
func ScarceProduct(int) string { return "bench-scarce" }

// Scarce makes a product of which there are only so many pieces.
func (r *RunningPas) Scarce(ctx context.Context, pieces int) error {
	return r.execute(ctx, strings.ReplaceAll(scarceSQL, "$1", strconv.Itoa(pieces)))
}

// StartPas starts the services named, each as often as e says, and returns when all are ready.
func StartPas(ctx context.Context, e Env, services ...string) (*RunningPas, error) {
	if err := Stock(ctx, e.Plot.AdminURL); err != nil {
		return nil, err
	}
	r := &RunningPas{books: books{e.Plot.AdminURL}, public: map[string][]string{}, admin: map[string][]string{}}
	replicas := max(1, e.Replicas)
	free, release, err := reserve(2 * replicas * len(services))
	if err != nil {
		return nil, err
	}
	defer release()
	var ready []string
	for _, service := range services {
		for replica := range replicas {
			var addresses []string
			addresses, free = free[:2], free[2:]
			p, err := process.Start(process.Spec{
				Name: replicaName(service, replica), Path: filepath.Join(e.Bin, service), Logs: e.Logs,
				Env: append([]string{
					"DATABASE_URL=" + pgdb.As(e.Plot.AdminURL, service), "KAFKA_BROKERS=" + strings.Join(e.Brokers, ","),
					"KAFKA_TOPIC_PREFIX=" + e.Plot.Prefix, "KAFKA_GROUP_PREFIX=" + e.Plot.Prefix,
					"HTTP_ADDR=" + addresses[0], "ADMIN_ADDR=" + addresses[1],
				}, e.Extra[service]...),
			})
			if err != nil {
				return nil, errors.Join(err, r.Stop())
			}
			r.processes = append(r.processes, p)
			r.public[service] = append(r.public[service], addresses[0])
			r.admin[service] = append(r.admin[service], addresses[1])
			ready = append(ready, "http://"+addresses[1]+"/readyz")
		}
	}
	if err := awaitReady(ctx, r.processes, ready...); err != nil {
		return nil, errors.Join(err, r.Stop())
	}
	return r, nil
}

func replicaName(service string, replica int) string {
	if replica == 0 {
		return service
	}
	return fmt.Sprintf("%s-%d", service, replica+1)
}

// Target implements Running.
func (r *RunningPas) Target(sku func(int) string) load.Target {
	return load.Target{Addresses: r.public["orders"], Body: func(n int) []byte { return body(n, sku(n)) }}
}

// Processes implements Running.
func (r *RunningPas) Processes() []*process.Process { return r.processes }

// Stop implements Running.
func (r *RunningPas) Stop() error { return process.StopAll(r.processes) }

// Emails implements Running.
func (r *RunningPas) Emails(ctx context.Context) (int, error) {
	sum := 0
	for _, address := range r.admin["notifications"] {
		m, err := scrape(ctx, address)
		if err != nil {
			return 0, err
		}
		sum += int(m.value(`pasdetrois_notifications_emails_total{status="sent"}`))
	}
	return sum, nil
}

const lastSQL = `SELECT count(sent_at), coalesce(max(sent_at), now()) FROM notifications.notifications`

// LastEmail implements Running: it is in the database a moment after it was emitted.
func (r *RunningPas) LastEmail(ctx context.Context) (emails int, last time.Time, err error) {
	return emails, last, r.read(ctx, []any{&emails, &last}, func() {}, lastSQL)
}

// Step is a part of the way of an order, and how long it took.
type Step struct {
	Name string  `json:"name"`
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
}

// stepsSQL times the way by what the services have written down of it, each by its own clock on the same machine.
const stepsSQL = `
WITH ways AS (
  SELECT placed.at AS placed, reserved.at AS reserved, p.created_at AS paid, confirmed.at AS confirmed, n.created_at AS asked, n.sent_at AS sent
  FROM orders.orders o
  JOIN orders.order_events placed ON placed.order_id = o.order_id AND placed.number = 1
  JOIN orders.order_events reserved ON reserved.order_id = o.order_id AND reserved.status_to = 'awaiting_payment'
  JOIN orders.order_events confirmed ON confirmed.order_id = o.order_id AND confirmed.status_to = 'confirmed'
  JOIN payments.payments p ON p.order_id = o.order_id
  JOIN notifications.notifications n ON n.order_id = o.order_id
  WHERE o.created_at >= $1
), steps (number, name, took) AS (
  SELECT 1, 'order taken, until its stock is set aside', reserved - placed FROM ways
  UNION ALL SELECT 2, 'until it is paid', paid - reserved FROM ways
  UNION ALL SELECT 3, 'until it is confirmed', confirmed - paid FROM ways
  UNION ALL SELECT 4, 'until its notification is kept', asked - confirmed FROM ways
  UNION ALL SELECT 5, 'until its email is emitted', sent - asked FROM ways
)
SELECT name, 1000 * percentile_disc(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM took))::float8,
  1000 * percentile_disc(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM took))::float8
FROM steps GROUP BY number, name ORDER BY number`

// Steps returns where the time of the orders since a moment went.
func (r *RunningPas) Steps(ctx context.Context, since time.Time) (steps []Step, err error) {
	var s Step
	err = r.read(ctx, []any{&s.Name, &s.P50, &s.P99}, func() { steps = append(steps, s) }, stepsSQL, since)
	return steps, err
}

// Batches returns how large the batches were since the last call of MarkBatches, by event.
func (r *RunningPas) Batches(ctx context.Context) (map[string]Histogram, error) {
	now, err := r.histograms(ctx)
	if err != nil {
		return nil, err
	}
	sizes := map[string]Histogram{}
	for address, events := range now {
		for event, h := range events {
			sizes[event] = sizes[event].plus(h.minus(r.before[address][event]))
		}
	}
	return sizes, nil
}

// MarkBatches makes Batches count from here.
func (r *RunningPas) MarkBatches(ctx context.Context) (err error) {
	r.before, err = r.histograms(ctx)
	return err
}

// histograms returns the sizes of batches by address and event.
func (r *RunningPas) histograms(ctx context.Context) (map[string]map[string]Histogram, error) {
	found := map[string]map[string]Histogram{}
	for _, service := range Services() {
		for _, address := range r.admin[service] {
			m, err := scrape(ctx, address)
			if err != nil {
				return nil, err
			}
			found[address] = m.histograms("pasdetrois_batch_messages", "event")
		}
	}
	return found, nil
}

// Goroutines returns how many each process has.
func (r *RunningPas) Goroutines(ctx context.Context) (map[string]int, error) {
	found := map[string]int{}
	for service, addresses := range r.admin {
		for i, address := range addresses {
			m, err := scrape(ctx, address)
			if err != nil {
				return nil, err
			}
			found[replicaName(service, i)] = int(m.value("go_goroutines"))
		}
	}
	return found, nil
}
