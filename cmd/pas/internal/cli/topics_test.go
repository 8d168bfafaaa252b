package cli_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
	"pasdetrois/pkg/platform/testkit"
)

// kafka is an environment with the tests' broker and topics of this test's own.
func kafka(t *testing.T) (environ map[string]string) {
	t.Helper()
	return map[string]string{"KAFKA_BROKERS": strings.Join(testkit.Brokers(t), ","), "KAFKA_TOPIC_PREFIX": testkit.Prefix(t)}
}

func TestTopicsOfAnyNameCanBeCreated(t *testing.T) {
	t.Parallel()
	environ := kafka(t)
	name := environ["KAFKA_TOPIC_PREFIX"] + "web-events"
	got := pas(t, environ, "topics", "create", "web-events", "orders", "web-events", "--partitions", "web-events=2")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "created "+name+" with 2 partitions")
	require.Contains(t, got.stdout, "orders with 6 partitions")
	got = pas(t, environ, "topics", "create", "web-events", "--partitions", "1")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Equal(t, "kept "+name+" exists already\n", got.stdout)
	require.NotContains(t, pas(t, environ, "topics", "list").stdout, "payments")
}
