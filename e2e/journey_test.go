package e2e

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/testkit"
)

// start brings the three services up for one test: on the Kafka of KAFKA_BROKERS when it is set, else on the embedded
// broker; on a Postgres database of its own in any case.
func start(t *testing.T, change ...func(*stack.Config)) *stack.Stack {
	t.Helper()
	cfg := stack.Config{
		Log:         slog.New(slog.DiscardHandler),
		DatabaseURL: testkit.Database(t, migrations.Up).AdminURL,
		TopicPrefix: testkit.Prefix(t),
	}
	cfg.GroupPrefix = cfg.TopicPrefix
	if given := os.Getenv("KAFKA_BROKERS"); given != "" {
		cfg.Brokers = strings.Split(given, ",")
	}
	for _, c := range change {
		c(&cfg)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s, err := stack.Start(ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

// Every scenario that `pas demo` shows holds on every stack.
func TestScenarios(t *testing.T) {
	t.Parallel()
	env := scenario.On(start(t))
	env.Patience = 60 * time.Second
	played := 0
	for _, s := range scenario.All() {
		t.Run(s.Name, func(t *testing.T) {
			require.Empty(t, s.Missing(env))
			require.NoError(t, s.Run(t.Context(), env))
		})
		played++
	}
	require.GreaterOrEqual(t, played, 14)
}
