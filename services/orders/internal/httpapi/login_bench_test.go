package httpapi_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/auth/authtest"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
	"pasdetrois/services/orders/internal/httpapi"
	"pasdetrois/services/orders/internal/store"
)

// BenchmarkPost is POST /orders over a connection and with a database, by how callers log in: not at all; each of 100 users
// with a token of its own; and with a token for each request, the worst case. cpu-us/op is the processor time of this process,
// the client's included. Compare with `benchstat -col /auth`.
func BenchmarkPost(b *testing.B) {
	server := authtest.Start(b)
	b.Run("auth=off", func(b *testing.B) { post(b, server, auth.Settings{Mode: auth.Off}, 0) })
	b.Run("auth=oidc", func(b *testing.B) { post(b, server, server.Settings(), 100) })
	b.Run("auth=oidc-new-tokens", func(b *testing.B) { post(b, server, server.Settings(), b.N) })
}

func post(b *testing.B, server *authtest.Server, login auth.Settings, users int) {
	tokens := make([]string, users)
	for i := range tokens {
		tokens[i] = "Bearer " + server.Sign(server.Claims(time.Now(), "user-"+strconv.Itoa(i), auth.Write, auth.Read))
	}
	const clients = 16
	url := served(b, login)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	b.Cleanup(client.CloseIdleConnections)
	left := atomic.Int64{}
	left.Store(int64(b.N))
	begin := processorTime(b)
	b.ReportAllocs()
	b.ResetTimer()
	done := make(chan error, clients)
	for range clients {
		go func() {
			var err error
			for n := left.Add(-1); n >= 0 && err == nil; n = left.Add(-1) {
				token, user := "", "user-0"
				if users > 0 {
					token, user = tokens[n%int64(users)], "user-"+strconv.FormatInt(n%int64(users), 10)
				}
				err = postOrder(client, url, token, user)
			}
			done <- err
		}()
	}
	for range clients {
		require.NoError(b, <-done)
	}
	b.ReportMetric(float64((processorTime(b)-begin).Microseconds())/float64(b.N), "cpu-us/op")
}

func postOrder(client *http.Client, url, token, user string) error {
	r, err := http.NewRequest(http.MethodPost, url+"/orders", strings.NewReader(`{"user_id":"`+user+`","total":5,"email":"`+user+`@example.com"}`))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusAccepted {
		err = &net.ParseError{Type: answer.Status, Text: string(body)}
	}
	return err
}

// served serves the public API as the service does, until the benchmark ends.
func served(b *testing.B, settings auth.Settings) (url string) {
	log := slog.New(slog.DiscardHandler)
	db := testkit.Database(b, migrations.Up).Pool(b, "orders")
	orders := app.New(app.Config{Store: store.New(db, silent{}, deadletter.NewStore(db)), Metrics: app.NewMetrics(prometheus.NewRegistry()), Log: log,
		Now: time.Now, NewID: uuid.NewString, Policy: domain.Policy{PaymentTimeout: time.Hour, RepublishAfter: time.Hour},
		HeldTimeout: time.Minute, KeyTTL: time.Hour, PlaceWithin: time.Hour})
	api, handler := httpx.NewAPI("orders", "1", "test")
	auth.Enforce(api)
	httpapi.New(orders, log).Register(api)
	ctx, cancel := context.WithCancel(context.Background())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	login := auth.New(settings, time.Now, log)
	running := []func() error{func() error {
		return httpx.Server{Handler: httpx.NewMetrics(prometheus.NewRegistry()).Measure(login.Wrap(handler)), Log: log}.Serve(ctx, l)
	}}
	if login != nil {
		running = append(running, func() error { return login.Run(ctx) })
	}
	ended := make(chan error, len(running))
	for _, run := range running {
		go func() { ended <- run() }()
	}
	b.Cleanup(func() {
		cancel()
		for range running {
			require.NoError(b, <-ended)
		}
	})
	if login != nil {
		testkit.Eventually(b, func() error { return login.Check(ctx) })
	}
	return "http://" + l.Addr().String()
}

func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
