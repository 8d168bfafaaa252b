package replay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/replay"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// world is a running system.
type world struct {
	*stack.Stack
	t      *testing.T
	prefix string
	db     *pgx.Conn // as superuser
}

func setup(t *testing.T) *world {
	t.Helper()
	db := testkit.Database(t, migrations.Up)
	prefix := testkit.Prefix(t)
	s, err := stack.Start(t.Context(), stack.Config{DatabaseURL: db.AdminURL, Brokers: testkit.Brokers(t), TopicPrefix: prefix, GroupPrefix: prefix})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	conn, err := pgx.Connect(t.Context(), db.AdminURL)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(context.Background())) })
	return &world{s, t, prefix, conn}
}

// play plays scenarios with every outcome.
func (w *world) play() {
	w.t.Helper()
	env := scenario.On(w.Stack)
	env.Patience = time.Minute
	for _, sc := range []scenario.Scenario{scenario.Confirmed(), scenario.OutOfStock(), scenario.CardDeclined(), scenario.SuspectedFraud(),
		scenario.CancelledAfterPayment(), scenario.DeliveredTwice(), scenario.PoisonMessage()} {
		require.NoError(w.t, sc.Run(w.t.Context(), env))
	}
	for _, service := range messages.Services() {
		w.caughtUp(service)
	}
}

// caughtUp waits until the service has committed all that its topics have.
func (w *world) caughtUp(service string) {
	w.t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(w.Brokers()...))
	require.NoError(w.t, err)
	defer c.Close()
	testkit.Eventually(w.t, func() error {
		consumers, err := w.Client().Consumers(w.t.Context(), service)
		if err != nil {
			return err
		}
		for _, g := range consumers.Groups {
			lags, err := kadm.NewClient(c).Lag(w.t.Context(), g.Group)
			if err = errors.Join(err, lags.Error()); err != nil {
				return err
			}
			for _, lag := range lags.Sorted() {
				if behind := lag.Lag.Total(); behind > 0 {
					return fmt.Errorf("%s is %d behind", g.Group, behind)
				}
			}
		}
		return nil
	})
}

// config replays the service from its beginning.
func (w *world) config(service string) replay.Config {
	w.t.Helper()
	return replay.Config{Service: service, Only: -1, Replicas: []*client.Client{w.Client()}, Database: w.AuditorURL(),
		Kafka: kafka.Config{Brokers: w.Brokers(), TopicPrefix: w.prefix, GroupPrefix: w.prefix}, Patience: 2 * time.Minute, PauseTo: 2 * time.Minute}
}

// done is all that must not happen twice: what the provider was asked for, and every email.
func (w *world) done() (asked string, emails int) {
	w.t.Helper()
	require.NoError(w.t, w.db.QueryRow(w.t.Context(), `SELECT count(*) || ' charges, asked ' || sum(charge_calls) || ' times, refunds asked ' || sum(refund_calls)
		FROM payments.audit_provider_ledger`).Scan(&asked))
	return asked, len(w.Emails())
}

// spoil changes something behind the services' backs.
func (w *world) spoil(sql string) {
	w.t.Helper()
	tag, err := w.db.Exec(w.t.Context(), sql)
	require.NoError(w.t, err, sql)
	require.NotZero(w.t, tag.RowsAffected(), sql)
}

// when calls do once, at the first step that begins with the words.
func when(words string, do func()) func(replay.Progress) {
	done := false
	return func(p replay.Progress) {
		if !done && strings.HasPrefix(p.Step, words) {
			done = true
			do()
		}
	}
}

// handled returns a partition of payments of which orders has handled something.
func (w *world) handled() int32 {
	w.t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(w.Brokers()...))
	require.NoError(w.t, err)
	defer c.Close()
	committed, err := kadm.NewClient(c).FetchOffsets(w.t.Context(), w.prefix+"orders.payments")
	require.NoError(w.t, err)
	for partition, o := range committed[w.prefix+"payments"] {
		if o.At > 0 {
			return partition
		}
	}
	require.Fail(w.t, "nothing was handled")
	return 0
}

// reaches waits until the order has the status.
func (w *world) reaches(orderID, status string) {
	w.t.Helper()
	testkit.Eventually(w.t, func() error {
		order, err := w.Client().Order(w.t.Context(), orderID, 0)
		if err == nil && order.Status != status {
			err = errors.New(orderID + " is " + order.Status)
		}
		return err
	})
}

// rewind moves the groups of a service that is stopped back to their beginning.
func (w *world) rewind(service string) {
	w.t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(w.Brokers()...))
	require.NoError(w.t, err)
	defer c.Close()
	var offsets kadm.Offsets
	for partition := range int32(3) {
		offsets.AddOffset(w.prefix+service, partition, 0, -1)
	}
	require.NoError(w.t, kadm.NewClient(c).CommitAllOffsets(w.t.Context(), w.prefix+service+"."+service, offsets))
}

func (w *world) consuming(service string) {
	w.t.Helper()
	testkit.Eventually(w.t, func() error {
		consumers, err := w.Client().Consumers(w.t.Context(), service)
		if err == nil && consumers.State != client.ConsumersConsuming {
			err = errors.New(service + " is " + consumers.State)
		}
		return err
	})
}
