package scenario_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/toolbox/audit"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/replay"
)

func TestEveryScenarioHasANameAndIsFound(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range scenario.All() {
		require.Regexp(t, `^[a-z-]+$`, s.Name)
		require.NotEmpty(t, s.Title)
		require.False(t, seen[s.Name])
		seen[s.Name] = true
		found, err := scenario.Find(s.Name)
		require.NoError(t, err)
		require.Len(t, found, 1)
	}
	_, err := scenario.Find("confirmed", "nothing")
	require.ErrorContains(t, err, `no scenario is called "nothing"`)
}

func TestAScenarioWhoseNeedsAreNotMetFails(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, scenario.NotificationsRestarted().Run(t.Context(), &scenario.Env{}), "needs control of the services")
}

func TestScenariosDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, sc := range scenario.All() {
		if len(sc.Needs) > 0 {
			continue // they stop services
		}
		t.Run(sc.Name, func(t *testing.T) {
			t.Parallel()
			o := scenario.Play(t.Context(), scenario.On(s), sc)
			require.NoError(t, o.Err)
			require.NotEmpty(t, o.Shown)
			for _, shown := range o.Shown {
				require.NotNil(t, shown.Order)
				require.NotEmpty(t, shown.Timeline)
				require.NotEmpty(t, shown.Emails)
			}
		})
	}
}

// TestEveryScenarioCanFail plays each scenario on a system that is fine, seen through a proxy that tells one lie about
// it: a wrong number, a missing or a second email. Each lie must be noticed.
func TestEveryScenarioCanFail(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for name, c := range map[string]struct {
		scenario scenario.Scenario
		service  string
		tell     lie
		noticed  string
	}{
		"a piece too many":   {scenario.Confirmed(), client.Orders, stockOff(1), "stock of "},
		"another total":      {scenario.Confirmed(), client.Orders, field("total", json.Number("49.01")), "total is"},
		"not charged":        {scenario.Confirmed(), client.Payments, field("status", "failed"), "payment of order"},
		"charged too much":   {scenario.Confirmed(), client.Payments, field("amount", json.Number("98.00")), "amount of the payment"},
		"another payment":    {scenario.Confirmed(), client.Payments, field("payment_id", "other"), "payment id of the order"},
		"emailed twice":      {scenario.Confirmed(), client.Notifications, itemTwice, "sent notifications are [confirmed confirmed]"},
		"not emailed":        {scenario.Confirmed(), client.Notifications, noItems, "sent notifications are []"},
		"never reserved":     {scenario.Confirmed(), client.Orders, timelineWithout("awaiting_payment"), "never was awaiting_payment"},
		"sold anyway":        {scenario.OutOfStock(), client.Orders, field("status", "confirmed"), "status of the order"},
		"reserved in part":   {scenario.OutOfStock(), client.Orders, stockOff(-1), "stock of "},
		"charged anyway":     {scenario.OutOfStock(), client.Payments, found, "has a payment"},
		"accepted":           {scenario.UnknownSKU(), client.Orders, accepted, "was accepted"},
		"stock kept":         {scenario.CardDeclined(), client.Orders, stockOff(-3), "stock of "},
		"another reason":     {scenario.CardDeclined(), client.Payments, field("reason", "insufficient_funds"), "reason of the payment"},
		"nobody alerted":     {scenario.SuspectedFraud(), client.Notifications, withoutKind("fraud_alert"), "sent notifications are [failed]"},
		"the suspect warned": {scenario.SuspectedFraud(), client.Notifications, itemField("to", "eve@example.com"), "expected two addresses"},
		"charged in spite":   {scenario.SuspectedFraud(), client.Payments, field("payment_id", "p-1"), "never charged"},
		"money kept":         {scenario.CancelledAfterPayment(), client.Payments, field("status", "captured"), "payment of order"},
		"not restocked":      {scenario.CancelledAfterPayment(), client.Orders, afterAsks(1, stockOff(-1)), "stock of "},
		"not told again":     {scenario.CancelledAfterPayment(), client.Notifications, withoutKind("cancelled"), "sent notifications are [confirmed]"},
		"another answer":     {scenario.PostedTwice(), client.Orders, secondPost, "differs from the first"},
		"not said replayed":  {scenario.PostedTwice(), client.Orders, withoutHeader("Idempotency-Replayed"), "Idempotency-Replayed"},
		"two orders":         {scenario.PostedTwice(), client.Orders, ordersTwice, "number of the user's orders"},
		"an order not so":    {scenario.ForeignMessage(), client.Orders, field("user_id", "somebody"), "user is"},
		"timeline grew":      {scenario.DeliveredTwice(), client.Orders, afterAsks(1, timelineMore), "timeline of order"},
		"parked meanwhile":   {scenario.DeliveredTwice(), client.Payments, afterAsks(1, field("updated_at", "2031-01-01T00:00:00Z")), "payment of order"},
		"not parked":         {scenario.PoisonMessage(), client.Orders, noLetters, "should park"},
		"parked as other":    {scenario.PoisonMessage(), client.Orders, letterField("reason", "oops"), "reason of the dead letter"},
		"not as written":     {scenario.PoisonMessage(), client.Orders, letterField("value", "x"), "value of the dead letter"},
		"ordered for less":   {scenario.SimulatedTraffic(), client.Orders, field("total", json.Number("1.00")), "the checkouts in the windows"},
		"shoppers not told":  {scenario.SimulatedTraffic(), client.Notifications, noItems, "simulated orders are not settled"},
		"never replayed":     {scenario.PoisonMessage(), client.Orders, letterField("state", "parked"), "should be replayed"},
	} {
		t.Run(c.scenario.Name+"/"+name, func(t *testing.T) {
			t.Parallel()
			requireNoticed(t, c.scenario, c.noticed, func() *scenario.Env { return lying(t, scenario.On(s), c.service, c.tell) })
		})
	}
}

// A busy machine may lose an answer, or have none in time. Shoppers ask again then.
func TestSimulatedOrdersArePlacedAgainWhenTheirAnswersAreLost(t *testing.T) {
	t.Parallel()
	var lost atomic.Int64
	env := lying(t, scenario.On(setup(t)), client.Orders, func(r *http.Request, _ int, resp *http.Response, body any) any {
		if r.Method == http.MethodPost && r.URL.Path == "/orders" && resp.StatusCode == http.StatusAccepted && lost.Add(1)%3 == 1 {
			resp.StatusCode = http.StatusServiceUnavailable
		}
		return body
	})
	env.Patience = time.Minute // this scenario succeeds, also on a busy machine
	require.NoError(t, scenario.SimulatedTraffic().Run(t.Context(), env))
	require.Positive(t, lost.Load())
}

func TestScenariosThatStopServicesCanFail(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, c := range []struct {
		name     string
		scenario scenario.Scenario
		change   func(t *testing.T, env *scenario.Env) *scenario.Env
		noticed  string
	}{
		{"confirmed in between", scenario.CancelledBeforePayment(), func(t *testing.T, env *scenario.Env) *scenario.Env {
			return lying(t, env, client.Orders, timelineAs("cancelling", "confirmed"))
		}, "never was cancelling"},
		{"money kept", scenario.CancelledBeforePayment(), func(t *testing.T, env *scenario.Env) *scenario.Env {
			return lying(t, env, client.Payments, field("status", "captured"))
		}, "expected refunded or voided"},
		{"an email lost", scenario.NotificationsRestarted(), func(_ *testing.T, env *scenario.Env) *scenario.Env {
			return withEmails(env, func(emails []stack.Email) []stack.Email { return emails[:min(len(emails), 1)] })
		}, "email lines are []"},
		{"an email twice", scenario.NotificationsRestarted(), func(_ *testing.T, env *scenario.Env) *scenario.Env {
			return withEmails(env, func(emails []stack.Email) []stack.Email { return append(emails, emails...) })
		}, "email lines are [confirmed confirmed]"},
		{"charged twice", scenario.CancelledBeforePayment(), func(_ *testing.T, env *scenario.Env) *scenario.Env {
			changed := *env
			changed.Ledger = func(ctx context.Context, orderID string) ([]string, error) {
				entries, err := env.Ledger(ctx, orderID)
				return append(entries, "charged"), err
			}
			return &changed
		}, "is refunded charged, expected refunded"},
		{"not stopped at all", scenario.NotificationsRestarted(), func(_ *testing.T, env *scenario.Env) *scenario.Env {
			changed := *env
			changed.Control = pretended{}
			return &changed
		}, "ready, although it is stopped"},
		{"a spoiled book overlooked", scenario.Audited(), func(_ *testing.T, env *scenario.Env) *scenario.Env {
			changed := *env
			changed.Books = books{overlooking, env.Books.Misplace}
			return &changed
		}, "and the audit found []"},
		{"books that disagree", scenario.Audited(), func(_ *testing.T, env *scenario.Env) *scenario.Env {
			changed := *env
			changed.Books = books{disagreeing(env.Books), env.Books.Misplace}
			return &changed
		}, "money: 5 USD are missing"},
		{"a row that differs", scenario.Replayed(), func(_ *testing.T, env *scenario.Env) *scenario.Env {
			return replaying(env, func(r *replay.Report) {
				r.Different, r.Differences = 1, []replay.Difference{{Table: "payments", Row: "x"}}
			})
		}, "and 1 rows differ, first {payments x"},
		{"nothing read again", scenario.Replayed(), func(_ *testing.T, env *scenario.Env) *scenario.Env {
			return replaying(env, func(r *replay.Report) { r.Comparison = nil })
		}, "had nothing to read again"},
		{"charged again", scenario.Replayed(), func(_ *testing.T, env *scenario.Env) *scenario.Env {
			var charged []string
			changed := replaying(env, func(*replay.Report) { charged = []string{"charged"} })
			changed.Ledger = func(ctx context.Context, orderID string) ([]string, error) {
				entries, err := env.Ledger(ctx, orderID)
				return append(entries, charged...), err
			}
			return changed
		}, "is charged charged, expected charged"},
		{"emailed again", scenario.Replayed(), func(_ *testing.T, env *scenario.Env) *scenario.Env {
			var again []stack.Email
			changed := replaying(env, func(*replay.Report) { again = env.Emails() })
			return withEmails(changed, func(emails []stack.Email) []stack.Email { return append(emails, again...) })
		}, "email lines are [confirmed confirmed"},
		{"an email meanwhile", scenario.NotificationsRestarted(), emailWhileStopped, "although notifications is stopped"},
	} {
		t.Run(c.scenario.Name+"/"+c.name, func(t *testing.T) { // one at a time: they stop services
			requireNoticed(t, c.scenario, c.noticed, func() *scenario.Env { return c.change(t, withEmails(scenario.On(s), ownLines(s))) })
		})
	}
	require.NoError(t, scenario.CancelledBeforePayment().Run(t.Context(), scenario.On(s)))
	require.NoError(t, scenario.NotificationsRestarted().Run(t.Context(), scenario.On(s)), "what failed left every service running")
	require.NoError(t, scenario.Audited().Run(t.Context(), scenario.On(s)), "what failed left nothing spoiled")
	require.NoError(t, scenario.Replayed().Run(t.Context(), scenario.On(s)))
}

// replaying is an environment whose reports of replays are changed.
func replaying(env *scenario.Env, change func(*replay.Report)) *scenario.Env {
	changed := *env
	changed.Replay = func(ctx context.Context, service string) (*replay.Report, error) {
		report, err := env.Replay(ctx, service)
		if err == nil {
			change(report)
		}
		return report, err
	}
	return &changed
}

// books are Books made of functions.
type books struct {
	audit    func(context.Context) (*audit.Report, error)
	misplace func(context.Context, string, int64) error
}

func (b books) Audit(ctx context.Context) (*audit.Report, error) { return b.audit(ctx) }

func (b books) Misplace(ctx context.Context, sku string, pieces int64) error {
	return b.misplace(ctx, sku, pieces)
}

// overlooking finds everything in order.
func overlooking(context.Context) (*audit.Report, error) { return &audit.Report{}, nil }

// disagreeing tells of an offence that there is not.
func disagreeing(real scenario.Books) func(context.Context) (*audit.Report, error) {
	return func(ctx context.Context) (*audit.Report, error) {
		report, err := real.Audit(ctx)
		if err == nil {
			report.Checks = append(report.Checks, &audit.Check{Name: "money", Wrong: 1, Examples: []string{"5 USD are missing"}})
		}
		return report, err
	}
}

// pretended is a Control that only says so.
type pretended struct{}

func (pretended) StopService(context.Context, string) error  { return nil }
func (pretended) StartService(context.Context, string) error { return nil }

// emailWhileStopped shows an email about the last order seen from the moment that notifications is stopped.
func emailWhileStopped(t *testing.T, env *scenario.Env) *scenario.Env {
	t.Helper()
	var last atomic.Value
	var stopped atomic.Bool
	changed := *lying(t, env, client.Orders, func(_ *http.Request, _ int, _ *http.Response, body any) any {
		if order, ok := body.(object); ok && order["order_id"] != nil {
			last.Store(order["order_id"])
		}
		return body
	})
	changed.Control = watched{changed.Control, &stopped}
	return withEmails(&changed, func(emails []stack.Email) []stack.Email {
		if id, ok := last.Load().(string); ok && stopped.Load() {
			emails = append(emails, stack.Email{OrderID: id, Kind: "confirmed"})
		}
		return emails
	})
}

// watched is a Control that says when it was asked to stop something.
type watched struct {
	scenario.Control
	stopped *atomic.Bool
}

func (w watched) StopService(ctx context.Context, service string) error {
	err := w.Control.StopService(ctx, service)
	w.stopped.Store(true)
	return err
}

func withEmails(env *scenario.Env, change func([]stack.Email) []stack.Email) *scenario.Env {
	changed, emails := *env, env.Emails
	changed.Emails = func() []stack.Email { return change(emails()) }
	return &changed
}

// ownLines hides the email lines from before.
func ownLines(s interface{ Emails() []stack.Email }) func([]stack.Email) []stack.Email {
	before := len(s.Emails())
	return func(emails []stack.Email) []stack.Email { return emails[before:] }
}

func isItem(r *http.Request, prefix string) bool {
	rest, ok := strings.CutPrefix(r.URL.Path, prefix)
	return ok && r.Method == http.MethodGet && !strings.Contains(rest, "/")
}
