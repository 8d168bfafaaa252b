package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/erasure"
	"pasdetrois/pkg/platform/pgdb"
	platform "pasdetrois/pkg/platform/rebuild"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications"
	"pasdetrois/services/orders"
	"pasdetrois/services/payments"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/rebuild"
)

// A person's id and address are in no log above debug, no trace, no metric and no list for operators.
func TestAPersonIsInNoLogTraceMetricOrList(t *testing.T) {
	t.Parallel()
	p := plant(t)
	p.everywhere()
	require.NotEmpty(t, p.stored(), "the person is planted")
	require.Empty(t, p.logs.with(planted))
	for _, service := range messages.Services() {
		at := p.env.Client.Endpoint(service)
		for _, url := range []string{at.Admin + "/metrics", at.Admin + "/readyz", at.Public + "/readyz", at.Admin + "/consumers", at.Admin + "/dead-letters?state=all",
			at.Admin + "/audit-log"} {
			status, body := p.get(url)
			require.Equal(t, http.StatusOK, status, url)
			require.NotContains(t, body, planted, url)
		}
	}
	testkit.Eventually(t, func() error { // spans are sent in batches
		if len(p.spans.with("e-fraud")) == 0 || len(p.spans.with("send email")) == 0 {
			return errors.New("no trace of the last order")
		}
		return nil
	})
	require.Empty(t, p.spans.with(planted))
}

// counts is what must stay true: stock, sums and statuses.
const countsSQL = `SELECT string_agg(line, ' ' ORDER BY line) FROM (
  SELECT concat_ws('|', 'o', order_id, total_minor, currency, status, payment_id, version, lines) AS line FROM orders.audit_orders
  UNION ALL SELECT concat_ws('|', 'i', sku, available, reserved, sold) FROM orders.audit_stock
  UNION ALL SELECT concat_ws('|', 'p', order_id, amount_minor, status, payment_id) FROM payments.audit_payments
  UNION ALL SELECT concat_ws('|', 'l', order_id, amount_minor, status, payment_id, charge_calls, refund_calls) FROM payments.audit_provider_ledger
  UNION ALL SELECT concat_ws('|', 'n', order_id, kind, status) FROM notifications.audit_notifications) AS all_of_it`

func TestAnErasedUserStaysErased(t *testing.T) {
	t.Parallel()
	p := plant(t)
	p.everywhere()
	kinds := map[string]int{}
	for _, service := range messages.Services() {
		require.NoError(t, p.env.Client.ExportUser(t.Context(), service, person, func(r client.UserRow) error {
			kinds[service+" "+r.Kind]++
			require.NotContains(t, string(r.Row), other)
			return nil
		}))
	}
	for _, kind := range []string{"orders order", "orders kept_answer", "orders dead_letter", "orders audit_log_entry", "payments payment",
		"payments ledger_entry", "payments dead_letter", "notifications notification", "notifications dead_letter"} {
		require.NotZero(t, kinds[kind], "%s in %v", kind, kinds)
	}
	before := p.rows(countsSQL)
	for _, service := range messages.Services() { // a dry run changes nothing
		done, err := p.env.Client.EraseUser(t.Context(), service, person, true)
		require.NoError(t, err)
		require.NotZero(t, done.Counts["dead_letters"], service)
	}
	require.NotEmpty(t, p.stored())

	held := p.rows(`SELECT concat_ws('/', topic, partition, record_offset) FROM orders.audit_held_messages ORDER BY 1`)
	require.NotEmpty(t, held)
	const alertsSQL = `SELECT concat_ws(' ', order_id, recipient) FROM notifications.audit_notifications WHERE kind = 'fraud_alert' ORDER BY 1`
	alerts := p.rows(alertsSQL)
	require.NotEmpty(t, alerts)
	pseudonym := p.erase()
	require.Empty(t, p.stored())
	require.Equal(t, held, p.rows(`SELECT concat_ws('/', topic, partition, record_offset) FROM orders.erased_letters WHERE reason = 'held' ORDER BY 1`))
	require.Equal(t, alerts, p.rows(alertsSQL), "the people who read alerts are others")
	require.Equal(t, before, p.rows(countsSQL), "sums, stock and statuses")
	require.NoError(t, p.audited())
	require.Equal(t, []string{"7"}, p.rows(`SELECT count(*) FROM orders.audit_orders WHERE user_id = $1`, pseudonym))
	require.Equal(t, []string{"1"}, p.rows(`SELECT count(*) FROM orders.audit_orders WHERE user_id = $1`, other))
	require.Equal(t, pseudonym, p.erase(), "a repetition")

	p.again()
	p.quiet()
	require.Empty(t, p.stored(), "records that are read again bring nobody back")
	require.Equal(t, before, p.rows(countsSQL))
	require.Empty(t, p.logs.with(planted))

	for _, service := range messages.Services() {
		p.rebuilt(service)
	}
	require.Empty(t, p.stored(), "a rebuild brings nobody back")
	require.Equal(t, before, p.rows(countsSQL))
	p.quiet()

	// A person may come back.
	_, _, err := p.env.Client.Place(t.Context(), client.NewOrder{OrderID: "e-back", UserID: person, Email: address,
		Items: []client.NewItem{{SKU: "record-brush", Quantity: 1}}}, client.PlaceOptions{IdempotencyKey: "key-e-back"})
	require.NoError(t, err)
	p.settled("e-back")
	require.Equal(t, []string{person}, p.rows(`SELECT user_id FROM orders.audit_orders WHERE order_id = 'e-back'`))
	p.quiet()
	require.Equal(t, pseudonym, p.erase())
	require.Empty(t, p.stored())

	// An open order is refused, and named.
	require.NoError(t, p.stack.StopService(t.Context(), client.Payments))
	_, _, err = p.env.Client.Place(t.Context(), client.NewOrder{OrderID: "e-open", UserID: person, Items: []client.NewItem{{SKU: "record-brush", Quantity: 1}}},
		client.PlaceOptions{})
	require.NoError(t, err)
	_, err = p.env.Client.EraseUser(t.Context(), client.Orders, person, false)
	require.ErrorContains(t, err, "e-open")
}

// rebuilt stops a service, compares its rows with the topics, and starts it again. The rows of the erased user are what the topics say
// of the pseudonym. Without the key nothing is compared.
func (p *planting) rebuilt(service string) {
	t := p.t
	t.Helper()
	require.NoError(t, p.stack.StopService(t.Context(), service))
	pool, err := rebuild.Open(pgdb.As(p.stack.AdminURL(), service), service)
	require.NoError(t, err)
	defer pool.Close()
	made := orders.NewState(pool, 0)
	switch service {
	case client.Payments:
		made, err = payments.NewState(pool, "")
		require.NoError(t, err)
	case client.Notifications:
		made = notifications.NewState(pool)
	}
	cfg := rebuild.Config{Service: service, Kafka: p.env.Kafka, Pool: pool, State: made}
	_, err = rebuild.Run(t.Context(), cfg)
	require.ErrorIs(t, err, erasure.ErrNoKey)
	cfg.Erasing, err = erasure.ParseKeys([]byte(erasedKey))
	require.NoError(t, err)
	var found []string
	cfg.Found = func(f platform.Finding) {
		if f.Kind == platform.Differs {
			found = append(found, fmt.Sprintf("%+v", f))
		}
	}
	report, err := rebuild.Run(t.Context(), cfg)
	require.NoError(t, err)
	require.NotZero(t, report.Stories)
	require.Empty(t, found, service)
	require.NoError(t, p.stack.StartService(t.Context(), service))
}
