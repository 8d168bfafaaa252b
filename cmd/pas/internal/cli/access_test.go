package cli_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pasdetrois/cmd/pas/internal/cli"
)

// TestARefusalOfKafkaIsOneLineThatSaysWhatToDo: through both of the tool's clients. What a real Kafka refuses is in
// e2e/matrix: the embedded broker hangs up on a wrong password.
func TestARefusalOfKafkaIsOneLineThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "ada", "s3cret"),
		kfake.User("PLAIN", "bob", "b0b", kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: "payments", Operation: kmsg.ACLOperationDescribe, Allow: true}))
	require.NoError(t, err)
	t.Cleanup(broker.Close)
	at := strings.Join(broker.ListenAddrs(), ",")
	login := func(user, password string) map[string]string {
		return map[string]string{"KAFKA_BROKERS": at, "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "PLAIN",
			"KAFKA_SASL_USERNAME": user, "KAFKA_SASL_PASSWORD": password}
	}
	with := func(environ map[string]string, name, value string) map[string]string {
		environ[name] = value
		return environ
	}
	require.Equal(t, cli.ExitOK, pas(t, login("ada", "s3cret"), "topics", "create").code)
	for name, c := range map[string]struct {
		environ map[string]string
		want    string
	}{
		"no login": {map[string]string{"KAFKA_BROKERS": at},
			"pas: Kafka at " + at + " hung up: check that KAFKA_SECURITY_PROTOCOL PLAINTEXT is what its listener speaks"},
		"no such host": {with(login("ada", "s3cret"), "KAFKA_BROKERS", "kafka.invalid:9092"),
			"pas: there is no host kafka.invalid, which KAFKA_BROKERS or advertised.listeners says: check KAFKA_BROKERS"},
		"nobody there": {with(login("ada", "s3cret"), "KAFKA_BROKERS", "127.0.0.1:1"),
			"pas: connect to Kafka at 127.0.0.1:1: connection refused; check that Kafka runs at 127.0.0.1:1, or say where it is with --brokers or KAFKA_BROKERS"},
	} {
		for _, command := range []string{"topics list", "tail orders --no-follow", "rest --addr 127.0.0.1:0"} {
			t.Run(name+" "+command, func(t *testing.T) {
				t.Parallel()
				got := pas(t, c.environ, strings.Fields(command)...)
				require.Equal(t, cli.ExitFailure, got.code)
				require.Equal(t, c.want, strings.TrimSpace(got.stderr))
			})
		}
	}
	t.Run("rest with its login", func(t *testing.T) {
		t.Parallel()
		require.Contains(t, startRESTWith(t, login("ada", "s3cret")).call(t, "GET", "/topics", "", ""), `"order-failures"`)
	})
	t.Run("missing ACL", func(t *testing.T) {
		t.Parallel()
		got := pas(t, login("bob", "b0b"), "topics", "create", "x", "--partitions", "1")
		require.Equal(t, cli.ExitFailure, got.code)
		require.Contains(t, got.stderr, `does not allow user "bob" (PLAIN) to use`)
	})
}
