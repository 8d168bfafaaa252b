package arm

import (
	"context"
	"fmt"
	"strings"
	"time"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
)

// Pas is the product: its three services as separate programs, as shipped.
func Pas() Arm {
	return Arm{Name: "pas", Start: func(ctx context.Context, e Env) (*Running, error) {
		return startPas(ctx, e, migrations.Up, Services()...)
	}}
}

// OrdersAlone is the product's orders service without the others. It accepts orders, publishes them, reserves
// their stock and requests their payments, which no service answers.
func OrdersAlone() Arm {
	return Arm{Name: "orders alone", Start: func(ctx context.Context, e Env) (*Running, error) {
		r, err := startPas(ctx, e, migrations.Up, "orders")
		if err == nil {
			r.audit = r.auditStored
		}
		return r, err
	}}
}

// Services returns the names of the product's services.
func Services() []string { return messages.Services() }

// Every product has enough pieces for all orders, except the scarce one. stocked must remain the sum of the
// other columns.
const (
	productsSQL = `
INSERT INTO orders.inventory (sku, name, price_minor, currency)
SELECT format('bench-%s', lpad(n::text, 2, '0')), 'A product', 1000 + n, 'USD' FROM generate_series(0, 63) AS n
WHERE NOT EXISTS (SELECT FROM orders.inventory WHERE sku LIKE 'bench-%')`
	plentySQL = `UPDATE orders.inventory SET available = 1000000000, stocked = 1000000000 + sold + reserved`
	scarceSQL = `INSERT INTO orders.inventory (sku, name, price_minor, currency, available, stocked) VALUES ('bench-scarce', 'A rare product', 1000, 'USD', $1, $1)`
)

// Migrate migrates the database to the product's schema and adds the benchmark's products.
func (d database) Migrate(ctx context.Context) error { return d.migrate(ctx, migrations.Up) }

// migrate migrates by up, which is that of another revision for its product, and adds the products. It can be
// repeated.
func (d database) migrate(ctx context.Context, up func(ctx context.Context, adminURL string) error) error {
	err := up(ctx, d.url)
	for _, sql := range []string{productsSQL, plentySQL} {
		if err == nil {
			err = d.exec(ctx, sql)
		}
	}
	return err
}

// ScarceProduct puts all orders on the product that Scarce makes.
func ScarceProduct(int) string { return "bench-scarce" }

// Scarce makes a product with this many pieces.
func (r *Running) Scarce(ctx context.Context, pieces int) error {
	return r.exec(ctx, scarceSQL, pieces)
}

// startPas migrates the database by up, starts e.Replicas of each service, and returns when all are ready. The
// programs run with their default settings, as shipped.
func startPas(ctx context.Context, e Env, up func(ctx context.Context, adminURL string) error, services ...string) (*Running, error) {
	if err := e.migrate(ctx, up); err != nil {
		return nil, err
	}
	r := &Running{database: e.database, admin: map[string]string{}}
	r.emails, r.stored, r.audit = r.sent, r.storedEmails, r.auditPas
	replicas := max(1, e.Replicas)
	free, release, err := reserve(2 * replicas * len(services))
	if err != nil {
		return nil, err
	}
	defer release()
	var keys map[string][]string
	if e.Signed {
		if keys, err = makeKeys(e.Logs, services); err != nil {
			return nil, err
		}
	}
	var urls []string
	for _, service := range services {
		for replica := range replicas {
			public, admin, name := free[0], free[1], service
			free = free[2:]
			if replica > 0 {
				name = fmt.Sprintf("%s-%d", service, replica+1)
			}
			if service == "orders" {
				r.public = append(r.public, public)
			}
			r.admin[name] = admin
			urls = append(urls, "http://"+admin+"/readyz")
			if err == nil {
				err = r.start(e, name, service, public, append(append(e.kafka(), keys[service]...),
					"DATABASE_URL="+e.As(service), "HTTP_ADDR="+public, "ADMIN_ADDR="+admin))
			}
		}
	}
	return r.ready(ctx, urls, err)
}

// kafka returns the environment variables that the programs of every arm get.
func (e Env) kafka() []string {
	return []string{"KAFKA_BROKERS=" + strings.Join(e.Brokers, ","), "KAFKA_TOPIC_PREFIX=" + e.Prefix, "KAFKA_GROUP_PREFIX=" + e.Prefix}
}

// sent returns the number of emails that all replicas of notifications have emitted, by their metrics. A query
// would load the database while it is measured.
func (r *Running) sent(ctx context.Context) (int, error) {
	sum := 0
	for name, address := range r.admin {
		if strings.HasPrefix(name, "notifications") {
			f, err := scrape(ctx, address)
			if err != nil {
				return 0, err
			}
			sum += int(f.value("pasdetrois_notifications_emails_total", "sent"))
		}
	}
	return sum, nil
}

const storedSQL = `SELECT count(sent_at), coalesce(max(sent_at), now()) FROM notifications.notifications`

// storedEmails returns the emails that the database has as sent, and the moment of the last one. A row follows
// its email by a moment.
func (r *Running) storedEmails(ctx context.Context) (emails int, last time.Time, err error) {
	err = r.read(ctx, []any{&emails, &last}, nil, storedSQL)
	return emails, last, err
}

// Step is a part of an order's way, with its duration in milliseconds.
type Step struct {
	Name string  `json:"name"`
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
}

// stepsSQL computes the steps from the times that the services have stored. All services run on one machine, so
// their clocks agree.
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

// steps returns the steps of the product's orders since a moment. It is nil for other arms.
func (r *Running) steps(ctx context.Context, since time.Time) (steps []Step, err error) {
	if r.admin == nil {
		return nil, nil
	}
	var s Step
	err = r.read(ctx, []any{&s.Name, &s.P50, &s.P99}, func() { steps = append(steps, s) }, stepsSQL, since)
	return steps, err
}
