package arm_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/bench/arm"
	"pasdetrois/pkg/platform/embedded"
)

func TestSandboxesAreApartAndAreRemoved(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := arm.Open(ctx, nil, "")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.False(t, s.Real)
	require.Contains(t, s.Versions(ctx)["kafka"], "no figure counts")
	require.Positive(t, s.PostgresPID())

	client, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers...), kgo.MetadataMinAge(10*time.Millisecond))
	require.NoError(t, err)
	defer client.Close()
	topics := func() []string {
		all, err := kadm.NewClient(client).ListTopics(ctx)
		require.NoError(t, err)
		return all.Names()
	}
	var first *arm.Sandbox
	require.NoError(t, s.In(ctx, arm.Partitions(), func(b *arm.Sandbox) error {
		require.NoError(t, s.In(ctx, arm.Partitions(), func(a *arm.Sandbox) error {
			first = a
			require.NotEqual(t, a.Prefix, b.Prefix)
			require.NotEqual(t, a.AdminURL(), b.AdminURL())
			tables, err := a.Count(ctx, `SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
			require.NoError(t, err)
			require.Zero(t, tables)
			require.Len(t, topics(), 2*len(arm.Partitions()))
			return nil
		}))
		_, err := first.Count(ctx, `SELECT 1`)
		require.Error(t, err, "the database is gone")
		_, err = b.Count(ctx, `SELECT 1`)
		return err
	}))
	require.Eventually(t, func() bool { return len(topics()) == 0 }, 30*time.Second, 20*time.Millisecond,
		"also when a sandbox is removed soon after its topics were listed")
}

// A Postgres that may lose commits is faster, and its figures mean nothing.
func TestAPostgresThatIsNotDurableIsRejected(t *testing.T) {
	t.Parallel()
	postgres, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{Durable: false})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, postgres.Stop()) })
	_, err = arm.Open(t.Context(), nil, postgres.AdminURL("postgres"))
	require.ErrorContains(t, err, "fsync=off")
}

func TestAServerThatCannotBeReachedIsAnError(t *testing.T) {
	t.Parallel()
	_, err := arm.Open(t.Context(), []string{"127.0.0.1:1"}, "")
	require.ErrorContains(t, err, "connect to Kafka")
	_, err = arm.Open(t.Context(), nil, "postgres://nobody@127.0.0.1:1/nothing")
	require.ErrorContains(t, err, "Postgres")
}
