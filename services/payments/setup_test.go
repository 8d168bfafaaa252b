package payments_test

import (
	"context"
	"testing"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/service/servicetest"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/payments"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// world is a servicetest.World in which all that payments publishes is observed.
type world struct {
	*servicetest.World
	cfg payments.Config
}

func setup(t *testing.T) *world {
	t.Helper()
	return setupOn(t, testkit.Brokers(t), testkit.Database(t, migrations.Up))
}

func setupOn(t *testing.T, brokers []string, db *testkit.DB) *world {
	t.Helper()
	w := servicetest.New(t, "payments", brokers, db)
	w.CreateTopics(3)
	w.Observe(servicetest.Sees[messages.PaymentCaptured], servicetest.Sees[messages.PaymentRefunded],
		servicetest.Sees[messages.PaymentFailed], servicetest.Sees[messages.NotificationRequested])
	return &world{w, servicetest.Config[payments.Config](w)}
}

func (w *world) start(change ...func(c *payments.Config)) *servicetest.Service {
	w.T.Helper()
	cfg := w.cfg
	for _, c := range change {
		c(&cfg)
	}
	return w.Start(&cfg.Base, func(ctx context.Context) error { return payments.Run(ctx, cfg, w.Log) })
}

// write puts a body on topic payments as a foreign client would.
func (w *world) write(body string) {
	w.T.Helper()
	w.Write(messages.TopicPayments, body)
}

func usd(minor int64) messages.Money { return messages.Money{Minor: minor, Currency: "USD"} }
