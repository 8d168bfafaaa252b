package stack_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func setup(t *testing.T, cfg stack.Config) *stack.Stack {
	t.Helper()
	s, err := stack.Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

func TestStartRunsEverythingAndStopEndsIt(t *testing.T) {
	t.Parallel()
	s, err := stack.Start(t.Context(), stack.Config{})
	require.NoError(t, err)
	for _, name := range messages.Services() {
		require.NoError(t, s.Client().Ready(t.Context(), name))
	}
	stocks, err := s.Client().Inventory(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, stocks, "the first curl works without setting anything up")
	require.NoError(t, scenario.Confirmed().Run(t.Context(), scenario.On(s)))
	require.Len(t, s.Emails(), 1)

	began := time.Now()
	require.NoError(t, s.Stop())
	require.Less(t, time.Since(began), time.Minute)
	require.NoError(t, s.Stop(), "stopping twice is harmless")
	for _, name := range messages.Services() {
		var gone *client.UnreachableError
		require.ErrorAs(t, s.Client().Ready(t.Context(), name), &gone)
	}
	s.Client().Close()
	for _, broker := range s.Brokers() {
		_, err := net.DialTimeout("tcp", broker, time.Second)
		require.Error(t, err)
	}
}

func TestAServiceIsStoppedAndStartedAtTheSameAddress(t *testing.T) {
	t.Parallel()
	s := setup(t, stack.Config{})
	before := s.Client().Endpoint(client.Payments)
	require.NoError(t, s.StopService(t.Context(), client.Payments))
	require.NoError(t, s.StopService(t.Context(), client.Payments), "stopping a stopped one does nothing")
	require.Error(t, s.Client().Ready(t.Context(), client.Payments))
	require.NoError(t, s.Client().Ready(t.Context(), client.Orders), "the others go on")

	require.NoError(t, s.StartService(t.Context(), client.Payments))
	require.Equal(t, before, s.Client().Endpoint(client.Payments))
	require.NoError(t, s.Client().Ready(t.Context(), client.Payments))
	require.ErrorContains(t, s.StartService(t.Context(), client.Payments), "running already")
	require.ErrorContains(t, s.StopService(t.Context(), "mail"), "orders, payments, notifications")
	select {
	case err := <-s.Died():
		require.NoError(t, err, "a service that was stopped did not die")
	default:
	}
}

func TestABusyPortIsNamedAndNothingStaysBehind(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	port := taken.Addr().(*net.TCPAddr).Port
	for _, cfg := range []stack.Config{
		{Ports: stack.Ports{Public: map[string]int{client.Payments: port}}},
		{Ports: stack.Ports{Admin: map[string]int{client.Notifications: port}}},
		{Ports: stack.Ports{Kafka: port}},
	} {
		_, err := stack.Start(t.Context(), cfg)
		var busy *stack.PortBusyError
		require.ErrorAs(t, err, &busy)
		require.Equal(t, port, busy.Port)
	}
}

func TestStartFailsWholeWhenTheDatabaseCannotBeReached(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	_, err = stack.Start(t.Context(), stack.Config{DatabaseURL: "postgres://postgres@" + addr + "/postgres?sslmode=disable"})
	require.ErrorContains(t, err, "migrate")
}

func TestAWrongConfigurationOfAServiceIsToldAtStart(t *testing.T) {
	t.Parallel()
	_, err := stack.Start(t.Context(), stack.Config{Services: map[string]map[string]string{client.Payments: {"FRAUD_LIMIT": "much"}}})
	require.ErrorContains(t, err, "payments did not start")
	require.Equal(t, 1, strings.Count(err.Error(), "FRAUD_LIMIT"), err)
}

func TestSettingsReachTheServices(t *testing.T) {
	t.Parallel()
	s := setup(t, stack.Config{Services: map[string]map[string]string{client.Payments: {"FRAUD_LIMIT": "20.00"}}})
	order, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "20.01"}, client.PlaceOptions{})
	require.NoError(t, err)
	order, err = s.Client().Settled(t.Context(), order.OrderID)
	require.NoError(t, err)
	require.Equal(t, "suspected_fraud", order.Reason)
}

func TestDataIsKeptInTheDataFolder(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	s, err := stack.Start(t.Context(), stack.Config{DataDir: dir})
	require.NoError(t, err)
	order, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "5.00"}, client.PlaceOptions{})
	require.NoError(t, err)
	order, err = s.Client().Settled(t.Context(), order.OrderID)
	require.NoError(t, err)
	require.Equal(t, "confirmed", order.Status)
	require.NoError(t, s.Stop())

	s = setup(t, stack.Config{DataDir: dir})
	again, err := s.Client().Order(t.Context(), order.OrderID, 0)
	require.NoError(t, err)
	require.Equal(t, order.Status, again.Status)
	other, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "6.00"}, client.PlaceOptions{})
	require.NoError(t, err)
	other, err = s.Client().Settled(t.Context(), other.OrderID)
	require.NoError(t, err)
	require.Equal(t, "confirmed", other.Status, "the topics and the groups are as before")
}

// openDir is a folder that an unprivileged Postgres can reach too.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pas-stack-*")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return filepath.Join(dir, "data")
}

func TestACancelledStartLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := stack.Start(ctx, stack.Config{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestTwoStacksShareOneKafkaByPrefix(t *testing.T) {
	t.Parallel()
	first := setup(t, stack.Config{TopicPrefix: "a-", GroupPrefix: "a-"})
	second := setup(t, stack.Config{Brokers: first.Brokers(), TopicPrefix: "b-", GroupPrefix: "b-"})
	require.NoError(t, scenario.ForeignMessage().Run(t.Context(), scenario.On(first)))
	require.NoError(t, scenario.ForeignMessage().Run(t.Context(), scenario.On(second)))
	require.Len(t, first.Emails(), 1)
	require.Len(t, second.Emails(), 1)
}

func TestEveryServiceServesItsDocumentation(t *testing.T) {
	t.Parallel()
	s := setup(t, stack.Config{})
	defer http.DefaultClient.CloseIdleConnections()
	for _, name := range messages.Services() {
		for _, path := range []string{"/openapi.json", "/docs"} {
			resp, err := http.Get(s.Client().Endpoint(name).Public + path)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, http.StatusOK, resp.StatusCode, "%s %s", name, path)
			require.False(t, strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain"))
		}
	}
}
