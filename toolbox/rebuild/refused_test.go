package rebuild

import (
	"cmp"
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/toolbox/hint"
)

// refused runs, and returns the line that a person sees. Nothing was made.
func (w *world) refused() string {
	w.Helper()
	report, err := Run(w.Context(), w.cfg)
	require.Error(w, err)
	require.Nil(w, report)
	require.Zero(w, w.count("told"))
	require.NotEmpty(w, hint.Of(err), err)
	return err.Error()
}

func TestARebuildIsRefused(t *testing.T) {
	t.Parallel()
	t.Run("while a replica runs", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.write(placed("a"))
		w.exec(`INSERT INTO orders.replicas (name, renewed_at) VALUES ('host-1', clock_timestamp() + interval '1 hour')`)
		require.Equal(t, "orders runs: replica host-1", w.refused())
	})
	t.Run("when a replica is started meanwhile", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.write(placed("a"))
		w.cfg.State.(*fake).fold = func(ctx context.Context) {
			w.exec(`INSERT INTO orders.replicas (name, renewed_at) VALUES ('host-1', clock_timestamp() + interval '1 hour')`)
			<-ctx.Done()
		}
		_, err := Run(t.Context(), w.cfg)
		var runs *RunsError
		require.ErrorAs(t, err, &runs)
		require.Contains(t, hint.Of(err), "run it again")
	})
	t.Run("while a group has members", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.write(placed("a"))
		member, err := kgo.NewClient(kgo.SeedBrokers(w.cfg.Kafka.Brokers...), kgo.ClientID("somebody"), kgo.ConsumerGroup(w.group("orders")),
			kgo.ConsumeTopics(w.cfg.Kafka.TopicPrefix+"orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		require.NoError(t, err)
		defer member.Close()
		require.NotEmpty(t, member.PollFetches(t.Context()).Records())
		require.Contains(t, w.refused(), "has 1 members, somebody at ")
	})
	t.Run("while another one runs", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		lease, _, err := rebuild.Take(t.Context(), w.cfg.Pool)
		require.NoError(t, err)
		defer lease.Give()
		require.Contains(t, w.refused(), "another rebuild of orders runs, on ")
	})
	t.Run("by another schema", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.exec(`UPDATE orders.goose_db_version SET version_id = 131 WHERE version_id > 131`)
		require.Contains(t, w.refused(), "the schema orders is at version 131, and this pas needs ")
		w.exec(`INSERT INTO orders.goose_db_version (version_id, is_applied) VALUES (99999, true)`)
		require.Contains(t, w.refused(), "the schema orders is at version 99999, and this pas has ")
		w.cfg.Pool = w.pool("payments")
		require.Equal(t, "payments may not write the schema orders, which belongs to orders_owner", w.refused())
		w.exec(`ALTER SCHEMA orders RENAME TO other`)
		w.exec(`CREATE SCHEMA elsewhere; CREATE VIEW elsewhere.told AS SELECT * FROM other.told`)
		_, err := Run(t.Context(), w.cfg)
		require.ErrorContains(t, err, "has no schema orders; it is the one of notifications, payments")
	})
	t.Run("without topics", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		answers, err := kadm.NewClient(w.client).DeleteTopics(t.Context(), w.cfg.Kafka.TopicPrefix+messages.TopicPayments)
		require.NoError(t, cmp.Or(err, answers.Error()))
		require.Contains(t, w.refused(), `there is no topic "payments"`)
	})
	t.Run("behind an open transaction", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		writer, err := kgo.NewClient(kgo.SeedBrokers(w.cfg.Kafka.Brokers...), kgo.TransactionalID(w.cfg.Kafka.TopicPrefix+"open"))
		require.NoError(t, err)
		defer writer.Close()
		require.NoError(t, writer.BeginTransaction())
		require.NoError(t, writer.ProduceSync(t.Context(), &kgo.Record{Topic: w.cfg.Kafka.TopicPrefix + "orders", Value: []byte("{}")}).FirstErr())
		require.Contains(t, w.refused(), "wait for a transaction that another producer has not ended")
	})
	t.Run("without its database", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		pool, err := Open("postgres://orders:secret@127.0.0.1:1/none", "orders")
		require.NoError(t, err)
		defer pool.Close()
		w.cfg.Pool = pool
		require.Regexp(t, `^cannot connect to Postgres at 127\.0\.0\.1:1: [^\n]*connection refused$`, w.refused())
	})
}

func (w *world) pool(role string) *pgxpool.Pool {
	w.Helper()
	pool, err := Open(pgdb.As(w.adminURL, role), w.cfg.Service)
	require.NoError(w, err)
	w.Cleanup(pool.Close)
	return pool
}
