package site_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/bench/site"
	"pasdetrois/pkg/platform/embedded"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestAPlotIsItsOwnAndGoesAway(t *testing.T) {
	t.Parallel()
	s, err := site.Open(t.Context(), site.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.False(t, s.Real)
	require.Contains(t, s.Versions(t.Context())["kafka"], "no figure counts")
	require.Positive(t, s.PostgresPID())

	a, err := s.Plot(t.Context(), site.Partitions())
	require.NoError(t, err)
	b, err := s.Plot(t.Context(), site.Partitions())
	require.NoError(t, err)
	require.NotEqual(t, a.Prefix, b.Prefix)
	require.NotEqual(t, a.AdminURL, b.AdminURL)
	tables, err := a.Count(t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`)
	require.NoError(t, err)
	require.Zero(t, tables)
	require.NoError(t, a.Clear())
	_, err = a.Count(t.Context(), `SELECT 1`)
	require.Error(t, err, "the database is gone")
	_, err = b.Count(t.Context(), `SELECT 1`)
	require.NoError(t, err)
	require.NoError(t, b.Clear())

	client, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers...))
	require.NoError(t, err)
	defer client.Close()
	left, err := kadm.NewClient(client).ListTopics(t.Context())
	require.NoError(t, err)
	require.Empty(t, left.Names(), "also when a plot is cleared soon after the topics were looked at")
}

// A Postgres that may forget what it committed would be faster, and its figures worth nothing.
func TestAPostgresThatIsNotDurableIsRefused(t *testing.T) {
	t.Parallel()
	postgres, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{Durable: false})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, postgres.Stop()) })
	_, err = site.Open(t.Context(), site.Config{DatabaseURL: postgres.AdminURL("postgres")})
	require.ErrorContains(t, err, "fsync=off")
}

func TestWhatCannotBeReachedIsToldInOneLine(t *testing.T) {
	t.Parallel()
	_, err := site.Open(t.Context(), site.Config{Brokers: []string{"127.0.0.1:1"}})
	require.ErrorContains(t, err, "connect to Kafka")
	_, err = site.Open(t.Context(), site.Config{DatabaseURL: "postgres://nobody@127.0.0.1:1/nothing"})
	require.ErrorContains(t, err, "Postgres")
}
