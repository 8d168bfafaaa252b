//go:build matrix

package matrix

import (
	"bytes"
	"context"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/e2e/programs"
	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

type environ map[string]string

func (e environ) with(pairs ...string) environ {
	c := maps.Clone(e)
	for i := 0; i < len(pairs); i += 2 {
		c[pairs[i]] = pairs[i+1]
	}
	return c
}

// login is how a user with a password is let in.
func login(address, protocol, mechanism, user string) environ {
	return environ{"KAFKA_BROKERS": address, "KAFKA_SECURITY_PROTOCOL": protocol, "KAFKA_SASL_MECHANISM": mechanism,
		"KAFKA_SASL_USERNAME": user, "KAFKA_SASL_PASSWORD": user + "-secret"}
}

func (b *broker) oauth(address, protocol string) environ {
	return environ{"KAFKA_BROKERS": address, "KAFKA_SECURITY_PROTOCOL": protocol, "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
		"KAFKA_OAUTH_TOKEN_URL": b.tokenURL, "KAFKA_OAUTH_CLIENT_ID": "app", "KAFKA_OAUTH_CLIENT_SECRET": "client-secret",
		"KAFKA_OAUTH_SCOPES": "kafka"}
}

// pas builds the tool and returns what runs it.
func pas(t *testing.T) func(e environ, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	path := programs.Tool(t)
	return func(e environ, args ...string) (string, string, int) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, path, args...)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		for name, value := range e {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		_ = cmd.Run()
		return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
	}
}

// TestEveryWayIn: one order goes through all three services to its email, and the tool sees it, in each row.
func TestEveryWayIn(t *testing.T) {
	b, tool := startBroker(t), pas(t)
	ca := write(t, t.TempDir(), "ca.pem", b.ca.pem)
	rows := []struct {
		name        string
		in          environ
		compression string
	}{
		{"PLAINTEXT", environ{"KAFKA_BROKERS": b.plaintext}, "none"},
		{"SASL_PLAINTEXT PLAIN", login(b.saslPlaintext, "SASL_PLAINTEXT", "PLAIN", "app"), "gzip"},
		{"SASL_PLAINTEXT SCRAM-SHA-256", login(b.saslPlaintext, "SASL_PLAINTEXT", "SCRAM-SHA-256", "app"), "snappy"},
		{"SASL_PLAINTEXT SCRAM-SHA-512", login(b.saslPlaintext, "SASL_PLAINTEXT", "SCRAM-SHA-512", "app"), "lz4"},
		{"SASL_PLAINTEXT OAUTHBEARER", b.oauth(b.saslPlaintext, "SASL_PLAINTEXT"), "zstd"},
		{"SASL_SSL PLAIN", login(b.saslSSL, "SASL_SSL", "PLAIN", "app").with("KAFKA_TLS_CA", ca), "zstd"},
		{"SASL_SSL SCRAM-SHA-256", login(b.saslSSL, "SASL_SSL", "SCRAM-SHA-256", "app").with("KAFKA_TLS_CA_FILE", ca), "gzip"},
		{"SASL_SSL SCRAM-SHA-512", login(b.saslSSL, "SASL_SSL", "SCRAM-SHA-512", "app").with("KAFKA_TLS_CA", b.ca.pem), "none"},
		{"SASL_SSL OAUTHBEARER", b.oauth(b.saslSSL, "SASL_SSL").with("KAFKA_TLS_CA", ca), "lz4"},
		{"SSL", environ{"KAFKA_BROKERS": b.tls, "KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_TLS_CA": ca}, "snappy"},
		{"SSL server name", environ{"KAFKA_BROKERS": b.badName, "KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_TLS_CA": ca,
			"KAFKA_TLS_SERVER_NAME": "kafka.example.com"}, "none"},
		{"SSL client certificate", environ{"KAFKA_BROKERS": b.mutual, "KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_TLS_CA": ca,
			"KAFKA_TLS_CERT": b.clientCert, "KAFKA_TLS_KEY": b.clientKey}, "zstd"},
	}
	for _, row := range rows {
		t.Run(row.name+" "+row.compression, func(t *testing.T) {
			e := row.in.with("KAFKA_COMPRESSION", row.compression)
			prefix := testkit.Prefix(t)
			s := system(t, e, prefix, 1)
			order, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "49.99", Email: "ada@example.com"}, client.PlaceOptions{})
			require.NoError(t, err)
			emailed(t, s, order.OrderID)

			e = e.with("KAFKA_TOPIC_PREFIX", prefix)
			stdout, stderr, code := tool(e, "topics", "list")
			require.Zero(t, code, stderr)
			require.Contains(t, stdout, "order-failures")
			stdout, stderr, code = tool(e, "topics", "create")
			require.Zero(t, code, stderr)
			require.Contains(t, stdout, "exists already")
			stdout, stderr, code = tool(e, "tail", "orders", "payments", "notifications", "--from-beginning", "--no-follow", "--order", order.OrderID, "--json")
			require.Zero(t, code, stderr)
			for _, event := range []string{"order_placed", "payment_requested", "payment_captured", "notification_requested"} {
				require.Contains(t, stdout, event)
			}
			require.Equal(t, []uint8{map[string]uint8{"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}[row.compression]}, b.codecs(t, prefix))
		})
	}
}

// system starts the three services, let in as e says.
func system(t *testing.T, e environ, prefix string, copies int16) *stack.Stack {
	t.Helper()
	kafka, err := run.Parse[kafka.Config](e)
	require.NoError(t, err)
	s, err := stack.Start(t.Context(), stack.Config{DatabaseURL: testkit.Database(t, migrations.Up).AdminURL, Brokers: kafka.Brokers,
		Kafka: kafka, Environ: e, TopicPrefix: prefix, GroupPrefix: prefix, ReplicationFactor: copies})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

func emailed(t *testing.T, s *stack.Stack, order string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return slices.ContainsFunc(s.Emails(), func(e stack.Email) bool { return e.OrderID == order && e.Kind == "confirmed" })
	}, time.Minute, 20*time.Millisecond, "the order's email is sent")
}

// codecs returns how what is in the four topics is compressed.
func (b *broker) codecs(t *testing.T, prefix string) []uint8 {
	t.Helper()
	var topics []string
	for _, topic := range messages.Topics() {
		topics = append(topics, prefix+topic.Name)
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(b.plaintext), kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	require.NoError(t, err)
	defer c.Close()
	var found []uint8
	for read := 0; read < 4; {
		fetches := c.PollFetches(t.Context())
		require.NoError(t, fetches.Err())
		fetches.EachRecord(func(r *kgo.Record) {
			read++
			if codec := r.Attrs.CompressionType(); !slices.Contains(found, codec) {
				found = append(found, codec)
			}
		})
	}
	return found
}

// line is a failure's only line, without the tool's name.
func line(t *testing.T, stderr string) string {
	t.Helper()
	require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	return strings.TrimPrefix(strings.TrimSpace(stderr), "pas: ")
}
