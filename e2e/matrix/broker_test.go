//go:build matrix

package matrix

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// broker is one real broker with a listener of each kind. An authorizer is on: whoever is not named as a superuser needs
// ACLs.
type broker struct {
	plaintext, saslPlaintext, saslSSL, tls, mutual, badName, expired string // addresses

	ca                    *authority
	clientCert, clientKey string
	tokenURL              string
	admin                 *kadm.Client
	client                *kgo.Client
}

func kafkaLocal(t *testing.T) string {
	t.Helper()
	local := os.Getenv("KAFKA_LOCAL")
	if info, err := os.Stat(local); err != nil || info.Mode()&0o111 == 0 {
		require.FailNow(t, "there is no Kafka: this test starts brokers of its own, so set KAFKA_LOCAL to the full path of a command that runs Kafka's classes")
	}
	return local
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func startBroker(t *testing.T) *broker {
	t.Helper()
	local, folder := kafkaLocal(t), t.TempDir()
	b := &broker{ca: newAuthority(t, "matrix")}
	controller := free(t)
	keystore := func(name string, until time.Time, hosts ...string) string {
		cert, key := b.ca.sign(t, name, until, hosts...)
		return write(t, folder, name+".pem", key+cert+b.ca.pem)
	}
	b.clientCert, b.clientKey = b.ca.sign(t, "app", time.Now().Add(time.Hour))
	soon := time.Now().Add(time.Hour)
	var properties, names, kinds []string
	listener := func(name, kind string, address *string, more ...string) {
		*address = free(t)
		names = append(names, name+"://"+*address)
		kinds = append(kinds, name+":"+kind)
		for _, m := range more {
			properties = append(properties, "listener.name."+strings.ToLower(name)+"."+m)
		}
	}
	login := []string{
		`scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;`,
		`scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;`,
		`plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_app="app-secret" user_limited="limited-secret";`,
		`oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="app";`,
	}
	secured := func(file string) []string { return []string{"ssl.keystore.type=PEM", "ssl.keystore.location=" + file} }
	good := keystore("good", soon, "127.0.0.1", "localhost")
	listener("PLAINTEXT", "PLAINTEXT", &b.plaintext)
	listener("SASLP", "SASL_PLAINTEXT", &b.saslPlaintext, login...)
	listener("SASLS", "SASL_SSL", &b.saslSSL, append(secured(good), login...)...)
	listener("TLS", "SSL", &b.tls, secured(good)...)
	listener("MUTUAL", "SSL", &b.mutual, append(secured(good), "ssl.client.auth=required", "ssl.truststore.type=PEM",
		"ssl.truststore.location="+write(t, folder, "ca.pem", b.ca.pem))...)
	listener("BADNAME", "SSL", &b.badName, secured(keystore("elsewhere", soon, "kafka.example.com"))...)
	listener("EXPIRED", "SSL", &b.expired, secured(keystore("expired", time.Now().Add(-time.Minute), "127.0.0.1"))...)
	config := write(t, folder, "server.properties", strings.Join(append(properties,
		"process.roles=broker,controller", "node.id=1", "controller.quorum.voters=1@"+controller, "controller.listener.names=CONTROLLER",
		"inter.broker.listener.name=PLAINTEXT", "listeners="+strings.Join(names, ",")+",CONTROLLER://"+controller,
		"advertised.listeners="+strings.Join(names, ","),
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT,"+strings.Join(kinds, ","),
		"sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users=User:ANONYMOUS;User:app;User:CN=app",
		"log.dirs="+filepath.Join(folder, "data"), "auto.create.topics.enable=false", "offsets.topic.replication.factor=1",
		"offsets.topic.num.partitions=4", "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1",
		"transaction.state.log.num.partitions=4", "group.initial.rebalance.delay.ms=0", "num.network.threads=1", "num.io.threads=2"), "\n"))
	format := exec.Command(local, "run-class", "kafka.tools.StorageTool", "format", "-t", base64.RawURLEncoding.EncodeToString([]byte(folder + "0123456789abcdef")[:16]),
		"-c", config, "--add-scram", "SCRAM-SHA-256=[name=app,password=app-secret]", "--add-scram", "SCRAM-SHA-512=[name=app,password=app-secret]",
		"--add-scram", "SCRAM-SHA-512=[name=limited,password=limited-secret]")
	out, err := format.CombinedOutput()
	require.NoError(t, err, string(out))

	logFile, err := os.Create(filepath.Join(folder, "kafka.log"))
	require.NoError(t, err)
	server := exec.Command(local, "run-class", "kafka.Kafka", config)
	server.Dir, server.Stdout, server.Stderr = folder, logFile, logFile
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		if t.Failed() {
			content, _ := os.ReadFile(logFile.Name())
			t.Logf("the broker's log ends with:\n%s", content[max(0, len(content)-3000):])
		}
		_ = logFile.Close()
	})
	b.client, err = kgo.NewClient(kgo.SeedBrokers(b.plaintext))
	require.NoError(t, err)
	t.Cleanup(b.client.Close)
	b.admin = kadm.NewClient(b.client)
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := b.admin.ListTopics(ctx)
		return err == nil
	}, 2*time.Minute, 200*time.Millisecond, "the broker answers")
	b.tokenURL = tokens(t)
	return b
}

// tokens serves what Kafka's own unsecured validator takes: a token that nobody signed.
func tokens(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, ok := r.BasicAuth()
		w.Header().Set("Content-Type", "application/json")
		if !ok {
			id, secret = r.FormValue("client_id"), r.FormValue("client_secret")
		}
		if r.FormValue("grant_type") != "client_credentials" || secret != "client-secret" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error": "invalid_client"}`))
			return
		}
		part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
		now := time.Now().Unix()
		token := part(`{"alg":"none"}`) + "." + part(fmt.Sprintf(`{"sub":%q,"iat":%d,"exp":%d,"scope":%q}`, id, now, now+60, r.FormValue("scope"))) + "."
		_, _ = fmt.Fprintf(w, `{"access_token": %q, "token_type": "bearer", "expires_in": 60}`, token)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
