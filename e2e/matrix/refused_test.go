//go:build matrix

package matrix

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications"
)

// TestWhatIsRefusedIsOneLine: each command of the tool ends with exit code 1 and one line, and does not wait for an answer that will not come.
func TestWhatIsRefusedIsOneLine(t *testing.T) {
	b, tool := startBroker(t), pas(t)
	stranger := newAuthority(t, "stranger")
	strangeCert, strangeKey := stranger.sign(t, "app", time.Now().Add(time.Hour))
	ssl := func(address string) environ {
		return environ{"KAFKA_BROKERS": address, "KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_TLS_CA": b.ca.pem}
	}
	scram := login(b.saslPlaintext, "SASL_PLAINTEXT", "SCRAM-SHA-512", "app")
	_, stderr, code := tool(scram, "topics", "create")
	require.Zero(t, code, stderr)
	for name, c := range map[string]struct {
		in   environ
		want string
	}{
		"wrong password, SCRAM":    {scram.with("KAFKA_SASL_PASSWORD", "wrong"), `refused to log in user "app" (SCRAM-SHA-512): check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD`},
		"wrong password, PLAIN":    {scram.with("KAFKA_SASL_PASSWORD", "wrong", "KAFKA_SASL_MECHANISM", "PLAIN"), `refused to log in user "app" (PLAIN)`},
		"wrong password, TLS":      {login(b.saslSSL, "SASL_SSL", "SCRAM-SHA-256", "app").with("KAFKA_TLS_CA", b.ca.pem, "KAFKA_SASL_PASSWORD", "wrong"), `refused to log in user "app" (SCRAM-SHA-256)`},
		"wrong client secret":      {b.oauth(b.saslPlaintext, "SASL_PLAINTEXT").with("KAFKA_OAUTH_CLIENT_SECRET", "wrong"), "(invalid_client): check KAFKA_OAUTH_TOKEN_URL"},
		"no token endpoint":        {b.oauth(b.saslPlaintext, "SASL_PLAINTEXT").with("KAFKA_OAUTH_TOKEN_URL", "http://127.0.0.1:1/token"), "no token from http://127.0.0.1:1/token"},
		"unknown authority":        {ssl(b.tls).with("KAFKA_TLS_CA", stranger.pem), "set KAFKA_TLS_CA"},
		"another host's":           {ssl(b.badName), "is not for 127.0.0.1, which KAFKA_BROKERS or advertised.listeners says, but for kafka.example.com"},
		"expired, or clock":        {ssl(b.expired), "set this machine's clock right, or renew the certificate"},
		"no client certificate":    {ssl(b.mutual), "requires a client certificate"},
		"strange client":           {ssl(b.mutual).with("KAFKA_TLS_CERT", strangeCert, "KAFKA_TLS_KEY", strangeKey), "refused the client certificate"},
		"no login":                 {environ{"KAFKA_BROKERS": b.saslPlaintext}, "hung up: check that KAFKA_SECURITY_PROTOCOL PLAINTEXT is what its listener speaks"},
		"TLS where there is none":  {ssl(b.plaintext), "KAFKA_SECURITY_PROTOCOL"},
		"no TLS where there is":    {environ{"KAFKA_BROKERS": b.tls}, "Kafka at " + b.tls}, // one client names the setting, the other TLS
		"unknown host":             {environ{"KAFKA_BROKERS": "kafka.invalid:9092"}, "there is no host kafka.invalid"},
		"nobody listens":           {environ{"KAFKA_BROKERS": "127.0.0.1:1"}, "connection refused; check that Kafka runs at 127.0.0.1:1"},
		"no ACL":                   {login(b.saslPlaintext, "SASL_PLAINTEXT", "PLAIN", "limited"), `user "limited" (PLAIN) may not see it`},
		"a mechanism not on offer": {scram.with("KAFKA_SASL_MECHANISM", "PLAIN", "KAFKA_BROKERS", b.plaintext), "KAFKA_SECURITY_PROTOCOL"},
	} {
		for _, command := range []string{"topics describe orders", "tail orders --from-beginning --no-follow"} {
			t.Run(name+": "+command, func(t *testing.T) {
				t.Parallel()
				began := time.Now()
				stdout, stderr, code := tool(c.in, strings.Fields(command)...)
				require.Equal(t, 1, code, stdout+stderr)
				said := line(t, stderr)
				t.Log(said)
				require.Contains(t, said, c.want)
				require.NotContains(t, said, "secret")
				require.Less(t, time.Since(began), 25*time.Second, "the patience of a command is 30 s")
			})
		}
	}
}

// said is a log that can be read while it is written.
type said struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(p)
}

func (s *said) warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, l := range strings.Split(s.all.String(), "\n") {
		if strings.Contains(l, "level=WARN") || strings.Contains(l, "level=ERROR") {
			lines = append(lines, l)
		}
	}
	return lines
}

// notified runs one service and returns what asks for its readiness.
func notified(t *testing.T, e environ) (ready func() (int, string), log *said) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	admin, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	e = e.with("DATABASE_URL", testkit.Database(t, migrations.Up).URL("notifications"))
	cfg, err := run.Parse[notifications.Config](e)
	require.NoError(t, err)
	cfg.HTTPListener, cfg.AdminListener = l, admin
	require.NoError(t, cfg.Validate())
	log = &said{}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- notifications.Run(ctx, cfg, slog.New(slog.NewTextHandler(log, nil))) }()
	t.Cleanup(func() {
		select {
		case err := <-ended:
			t.Errorf("the service ended by itself: %v", err)
		default:
			stop()
			require.NoError(t, <-ended)
		}
	})
	return func() (int, string) {
		resp, err := http.Get("http://" + admin.Addr().String() + "/readyz")
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}, log
}

// says waits until readiness has the code and all of the texts.
func says(t *testing.T, ready func() (int, string), code int, texts ...string) {
	t.Helper()
	var last string
	ok := func() bool {
		status, body := ready()
		last = body
		for _, text := range texts {
			if !strings.Contains(body, text) {
				return false
			}
		}
		return status == code
	}
	for deadline := time.Now().Add(time.Minute); !ok(); {
		require.True(t, time.Now().Before(deadline), "readiness says %s, expected %d and %v", last, code, texts)
		<-time.After(50 * time.Millisecond)
	}
}

// TestAServiceThatIsRefusedWaitsAndRecovers: it says why, keeps running, and goes on once the cause is gone.
func TestAServiceThatIsRefusedWaitsAndRecovers(t *testing.T) {
	b := startBroker(t)
	topics := func(t *testing.T, prefix string, partitions int32) {
		t.Helper()
		cfg := kafka.Config{Brokers: []string{b.plaintext}, TopicPrefix: prefix}
		specs := stack.Topics(1)
		for i := range specs {
			specs[i].Partitions = max(1, min(specs[i].Partitions, partitions))
		}
		_, err := kafka.CreateTopics(t.Context(), cfg, specs)
		require.NoError(t, err)
	}
	own := func(e environ, prefix string) environ {
		return e.with("KAFKA_TOPIC_PREFIX", prefix, "KAFKA_GROUP_PREFIX", prefix)
	}
	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		prefix := testkit.Prefix(t)
		topics(t, prefix, 6)
		ready, log := notified(t, own(login(b.saslPlaintext, "SASL_PLAINTEXT", "SCRAM-SHA-256", "limited"), prefix))
		says(t, ready, http.StatusServiceUnavailable, `refused to log in user \"limited\" (SCRAM-SHA-256): check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD`)
		require.LessOrEqual(t, len(log.warnings()), 2, "%v", log.warnings())
		b.allow(t, prefix, "limited", kadm.OpRead, kadm.OpWrite)
		_, err := b.admin.AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{{User: "limited", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "limited-secret"}})
		require.NoError(t, err)
		says(t, ready, http.StatusOK)
	})
	t.Run("missing ACL", func(t *testing.T) {
		t.Parallel()
		prefix := testkit.Prefix(t)
		topics(t, prefix, 6)
		ready, log := notified(t, own(login(b.saslPlaintext, "SASL_PLAINTEXT", "PLAIN", "limited"), prefix))
		topic := prefix + messages.TopicNotifications
		says(t, ready, http.StatusServiceUnavailable, `user \"limited\" (PLAIN) may not read and write `+topic+": give it these ACLs")
		b.allow(t, prefix, "limited", kadm.OpDescribe)
		says(t, ready, http.StatusServiceUnavailable, "may not read and write "+topic)
		require.LessOrEqual(t, len(log.warnings()), 3, "%v", log.warnings())
		b.allow(t, prefix, "limited", kadm.OpRead, kadm.OpWrite)
		says(t, ready, http.StatusOK)
		require.LessOrEqual(t, len(log.warnings()), 4, "%v", log.warnings())
	})
	t.Run("missing topic and few partitions", func(t *testing.T) {
		t.Parallel()
		prefix := testkit.Prefix(t)
		ready, log := notified(t, own(login(b.saslSSL, "SASL_SSL", "PLAIN", "app").with("KAFKA_TLS_CA", b.ca.pem), prefix))
		says(t, ready, http.StatusServiceUnavailable, "topics are missing: ["+prefix+"notifications] (create them with `pas topics create`)")
		require.LessOrEqual(t, len(log.warnings()), 2, "%v", log.warnings())
		topics(t, prefix, 1)
		says(t, ready, http.StatusOK, prefix+"notifications has 1 instead of 3")
	})
}

// allow lets user do ops on the topics and groups of a prefix.
func (b *broker) allow(t *testing.T, prefix, user string, ops ...kadm.ACLOperation) {
	t.Helper()
	acls := kadm.NewACLs().Allow("User:" + user).AllowHosts().Topics(prefix).Groups(prefix).ResourcePatternType(kadm.ACLPatternPrefixed).Operations(ops...)
	results, err := b.admin.CreateACLs(t.Context(), acls)
	require.NoError(t, err)
	for _, r := range results {
		require.NoError(t, r.Err)
	}
}
