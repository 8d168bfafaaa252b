//go:build observability

// Package observability_test holds the dashboard and the alerts to what the services really serve, with a real
// Prometheus. `make test SUITE=observability` runs it.
package observability_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/pkg/platform/signing/signingtest"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// start brings the three services up, on the Kafka of KAFKA_BROKERS when it is set.
func start(t *testing.T, environ map[string]string) *stack.Stack {
	t.Helper()
	trusted, each := signingtest.New(t).Environ()
	maps.Copy(trusted, environ)
	cfg := stack.Config{Log: slog.New(slog.DiscardHandler), DatabaseURL: database(t), TopicPrefix: testkit.Prefix(t), Environ: trusted, Services: each}
	cfg.GroupPrefix = cfg.TopicPrefix
	if given := os.Getenv("KAFKA_BROKERS"); given != "" {
		cfg.Brokers = strings.Split(given, ",")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := stack.Start(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

// database returns the URL of a server of its own, which keeps at most 1 GB of its log for a reader of changes.
func database(t *testing.T) string {
	t.Helper()
	server := testkit.OwnPostgres(t, "wal_level=logical", "max_slot_wal_keep_size=1GB")
	require.NoError(t, migrations.Up(t.Context(), server.AdminURL))
	pool, err := pgdb.Open(pgdb.Config{URL: server.AdminURL, AppName: "test"})
	require.NoError(t, err)
	defer pool.Close()
	_, err = pool.Exec(t.Context(), `SELECT pg_create_logical_replication_slot('capture', 'pgoutput')`)
	require.NoError(t, err)
	return server.AdminURL
}

// served is every series that the services serve, by the name that a query uses, with the labels that a scrape adds.
type served map[string][]map[string]string

func (there served) hasLabel(metric, label string) bool {
	for _, series := range there[metric] {
		if _, ok := series[label]; ok {
			return true
		}
	}
	return false
}

func (there served) add(metric, job string, m *dto.Metric, extra ...string) {
	labels := map[string]string{"job": job, "instance": job}
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	for i := 0; i < len(extra); i += 2 {
		labels[extra[i]] = extra[i+1]
	}
	there[metric] = append(there[metric], labels)
}

// scrape reads /metrics of all three.
func scrape(t *testing.T, s *stack.Stack) served {
	t.Helper()
	all := served{}
	for _, job := range messages.Services() {
		resp, err := http.Get(s.Client().Endpoint(job).Admin + "/metrics")
		require.NoError(t, err)
		defer resp.Body.Close()
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(resp.Body)
		require.NoError(t, err)
		all["up"] = append(all["up"], map[string]string{"job": job, "instance": job})
		for name, family := range families {
			for _, m := range family.GetMetric() {
				switch family.GetType() {
				case dto.MetricType_HISTOGRAM:
					all.add(name+"_bucket", job, m, "le", "+Inf")
					all.add(name+"_sum", job, m)
					all.add(name+"_count", job, m)
				case dto.MetricType_SUMMARY:
					for _, q := range m.GetSummary().GetQuantile() {
						all.add(name, job, m, "quantile", strconv.FormatFloat(q.GetQuantile(), 'f', -1, 64))
					}
				default:
					all.add(name, job, m)
				}
			}
		}
	}
	return all
}

// live is a stack on which everything has happened once, and a Prometheus that looks at it.
func live(t *testing.T) (*stack.Stack, *prometheus) {
	t.Helper()
	s := start(t, nil)
	p := startPrometheus(t, s)
	env := scenario.On(s)
	env.Patience = time.Minute
	for _, one := range scenario.All() {
		if one.Name != scenario.SimulatedTraffic().Name && one.Name != scenario.Audited().Name {
			require.NoError(t, one.Run(t.Context(), env), one.Name)
		}
	}
	spoil(t, s)
	return s, p
}

// spoil leaves dead letters behind, which the scenarios do not: a record that is no order, and a payment that nobody signed.
func spoil(t *testing.T, s *stack.Stack) {
	t.Helper()
	kafka, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers()...))
	require.NoError(t, err)
	defer kafka.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	prefix := s.Kafka().TopicPrefix
	require.NoError(t, kafka.ProduceSync(ctx, &kgo.Record{Topic: prefix + messages.TopicOrders, Value: []byte("no JSON")},
		&kgo.Record{Topic: prefix + messages.TopicPayments, Value: []byte(`{"event":"payment_captured","order_id":"forged","user_id":"u","amount":1,"currency":"USD","payment_id":"p"}`)}).FirstErr())
	testkit.Eventually(t, func() error {
		var reasons []string
		for _, series := range scrape(t, s)["pasdetrois_dead_letters"] {
			reasons = append(reasons, series["reason"])
		}
		if len(reasons) < 2 || !slices.Contains(reasons, signing.ReasonNotSigned) {
			return fmt.Errorf("parked are %q", reasons)
		}
		return nil
	})
}

func TestDashboardAndAlertsAreAboutWhatTheServicesServe(t *testing.T) {
	t.Parallel()
	s, p := live(t)

	t.Run("every service is scraped", func(t *testing.T) {
		testkit.Eventually(t, func() error {
			var data struct {
				ActiveTargets []struct {
					Health, LastError string
					Labels            map[string]string
				}
			}
			if err := p.get("targets", url.Values{}, &data); err != nil {
				return err
			}
			var up []string
			for _, target := range data.ActiveTargets {
				if target.Health != "up" {
					return fmt.Errorf("%s is %s: %s", target.Labels["job"], target.Health, target.LastError)
				}
				up = append(up, target.Labels["job"])
			}
			if len(up) != len(messages.Services()) {
				return fmt.Errorf("only %v are scraped", up)
			}
			return nil
		})
	})

	t.Run("every metric, label and value is served", func(t *testing.T) {
		there := scrape(t, s)
		uses := dashboard(t)
		for _, a := range alerts(t) {
			uses = append(uses, use{where: "alert " + a.Alert, expr: a.Expr})
		}
		for _, u := range uses {
			wrong, err := p.problems(u.expr, there)
			require.NoError(t, err, u.where)
			require.Empty(t, wrong, "%s: %s", u.where, u.expr)
		}
		// The check itself is no formality.
		for expr, want := range map[string]string{
			`rate(pasdetrois_nothing_total[5m]) > 0`:                                                    "no service serves pasdetrois_nothing_total",
			`pasdetrois_orders_total{outcome="confirmed"}`:                                              "pasdetrois_orders_total has no label outcome",
			`pasdetrois_orders_total{status=~"confirmed|delivered"}`:                                    `pasdetrois_orders_total is never served with status="delivered"`,
			`pasdetrois_outbox_pending{job="payments"}`:                                                 `pasdetrois_outbox_pending is never served with job="payments"`,
			`sum by (topic) (pasdetrois_orders_total)`:                                                  "no metric below has the label topic",
			`max by (partition) (pasdetrois_consumer_lag) - on (shard) pasdetrois_consumer_next_offset`: "no metric below has the label shard",
			`histogram_quantile(0.5, pasdetrois_message_handle_seconds)`:                                "no service serves pasdetrois_message_handle_seconds",
		} {
			wrong, err := p.problems(expr, there)
			require.NoError(t, err)
			require.Equal(t, []string{want}, wrong, expr)
		}
	})

	t.Run("every metric is in the manual", func(t *testing.T) { explained(t, scrape(t, s)) })

	t.Run("every alert is loaded, evaluated and explained", func(t *testing.T) {
		sections := headings(t)
		for _, a := range alerts(t) {
			require.NotEmpty(t, a.Annotations["summary"], a.Alert)
			require.NotEmpty(t, a.Annotations["description"], a.Alert)
			require.Contains(t, []string{"critical", "warning"}, a.Labels["severity"], a.Alert)
			require.Equal(t, "docs/operations.md#"+strings.ToLower(a.Alert), a.Annotations["runbook_url"])
			require.True(t, sections[a.Alert], "docs/operations.md has no section %s", a.Alert)
		}
		testkit.Eventually(t, func() error { return p.evaluated(len(alerts(t))) })
	})

	t.Run("every panel shows something", func(t *testing.T) {
		keepOrdering(t, s)
		for _, u := range dashboard(t) {
			testkit.Eventually(t, func() error {
				got, err := p.query(u.expr)
				if err != nil {
					return err
				}
				for _, g := range got {
					if v, err := strconv.ParseFloat(g.number(), 64); err == nil && !math.IsNaN(v) {
						return nil
					}
				}
				return fmt.Errorf("%s: no data for %s (%v)", u.where, u.expr, got)
			})
		}
	})
}

// keepOrdering places orders until the test ends: a rate wants something that moves.
func keepOrdering(t *testing.T, s *stack.Stack) {
	order := client.NewOrder{UserID: "u", Total: "1.00"}
	declined, suspicious := order, order
	declined.PaymentMethod, suspicious.Total = "pm_card_chargeDeclined", "1000.00"
	sold := []client.NewOrder{order, order, order, declined, order, order, suspicious, order}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				done <- nil
				return
			case <-tick.C:
			}
			if _, _, err := s.Client().Place(ctx, sold[n%len(sold)], client.PlaceOptions{}); err != nil && ctx.Err() == nil {
				done <- err
				return
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
	})
}

// evaluated is nil once Prometheus has evaluated all rules without error.
func (p *prometheus) evaluated(count int) error {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.get("rules", url.Values{}, &data); err != nil {
		return err
	}
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			if r.Health != "ok" {
				return fmt.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
			}
			count--
		}
	}
	if count != 0 {
		return errors.New("not all rules are loaded")
	}
	return nil
}
