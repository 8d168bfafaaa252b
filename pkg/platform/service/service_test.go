package service_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/pkg/platform/service"
	"pasdetrois/pkg/platform/service/servicetest"
	"pasdetrois/pkg/platform/testkit"
)

func TestAMinimalServiceConsumesPublishesParksAndAnswers(t *testing.T) {
	t.Parallel()
	w, cfg := setup(t)
	s := start(w, cfg, service.Parts{})
	s.Ready(http.StatusOK, `"postgres":"ok"`, `"kafka_producer":"ok"`, `"consumer":"ok"`, `"topics":"ok"`)
	require.Equal(t, http.StatusNotFound, status(t, s, s.Public+"/parcels/o1"))

	w.Publish(captured("o1"))
	got := w.Await("o1", messages.EventNotificationRequested, "packed").(messages.NotificationRequested)
	require.Equal(t, "Packed for the post", got.Message)
	require.Equal(t, http.StatusOK, status(t, s, s.Public+"/parcels/o1"))
	require.Equal(t, 1, w.Rows("parcels"))

	_, err := w.DB.Exec(t.Context(), `INSERT INTO dead_letters (id, topic, partition, record_offset, record_time, reason, detail)
		OVERRIDING SYSTEM VALUE VALUES (7, 'things', 0, 0, now(), 'not_json', '')`)
	require.NoError(t, err)
	s.Ready(http.StatusServiceUnavailable, "the sequence of parcels.dead_letters is behind", "(last id 0, highest 7)", "`pas migrate`")
	_, err = w.DB.Exec(t.Context(), `DELETE FROM dead_letters`)
	require.NoError(t, err)
	s.Ready(http.StatusOK, `"sequences":"ok"`)

	w.Write(messages.TopicPayments, "no json")
	s.Answers(s.Admin+"/dead-letters", http.StatusOK, messages.ReasonNotJSON)
	s.Answers(s.Admin+"/consumers", http.StatusOK, `"state":"consuming"`, w.Kafka.GroupPrefix+"parcels.payments")
	s.Answers(s.Admin+"/openapi.json", http.StatusOK, "Pas de Trois: parcels, admin", "Parcels, admin.")
	s.Answers(s.Public+"/openapi.json", http.StatusOK, `"Pas de Trois: parcels"`, "Where parcels are.", "/parcels/{order_id}")
	s.Answers(s.Admin+"/metrics", http.StatusOK, "pasdetrois_messages_handled_total", "pasdetrois_messages_parked_total",
		`pasdetrois_http_requests_total{method="GET",route="/parcels/{order_id}",status="2xx"} 1`, "go_goroutines", "process_cpu_seconds_total")
	require.Equal(t, http.StatusNotFound, status(t, s, s.Public+"/metrics"), "metrics are for operators")
	s.ReadAll(3)
}

// signalled is a component that a test follows: begun is closed when it runs, stopping when it shall stop.
type signalled struct{ begun, stopping, end chan struct{} }

func newSignalled() *signalled {
	return &signalled{make(chan struct{}), make(chan struct{}), make(chan struct{})}
}

func (c *signalled) component(name string) run.Component {
	return run.Component{Name: name, Run: func(ctx context.Context) error {
		close(c.begun)
		<-ctx.Done()
		close(c.stopping)
		<-c.end
		return nil
	}}
}

func happens(t *testing.T, what <-chan struct{}, say string) {
	t.Helper()
	select {
	case <-what:
	case <-time.After(30 * time.Second):
		t.Fatal("it did not happen: " + say)
	}
}

func happened(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestAServiceStopsWorkThenEffectsThenTheRest(t *testing.T) {
	t.Parallel()
	w, cfg := setup(t)
	loop, effect, background := newSignalled(), newSignalled(), newSignalled()
	s := start(w, cfg, service.Parts{Loops: []run.Component{loop.component("loop")}, Effects: []run.Component{effect.component("effect")},
		Background: []run.Component{background.component("background")}})
	s.Ready(http.StatusOK)
	for _, c := range []*signalled{loop, effect, background} {
		happens(t, c.begun, "a component begins")
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.Stop()
	}()
	happens(t, loop.stopping, "the loop stops")
	s.Answers(s.Admin+"/readyz", http.StatusServiceUnavailable, "draining")
	require.False(t, happened(effect.stopping), "the loop still works")
	close(loop.end)
	happens(t, effect.stopping, "the effect stops")
	testkit.Eventually(t, func() error { // the public side has stopped
		_, _, _, err := servicetest.Fetch(t, http.MethodGet, s.Public+"/livez", "")
		if err != nil {
			return nil
		}
		return net.ErrClosed
	})
	require.False(t, happened(background.stopping), "the effect still works")
	s.Answers(s.Admin+"/readyz", http.StatusServiceUnavailable, "draining")
	close(effect.end)
	happens(t, background.stopping, "the background stops")
	close(background.end)
	happens(t, stopped, "the service stops")
}

func TestAServiceBeginsWhenItsSchemaIsMigrated(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, migrate)
	admin, err := pgx.Connect(t.Context(), db.AdminURL)
	require.NoError(t, err)
	defer admin.Close(t.Context())
	migrated := func(is bool) {
		_, err := admin.Exec(t.Context(), `UPDATE parcels.goose_db_version SET is_applied = $1`, is)
		require.NoError(t, err)
	}
	migrated(false)
	w := servicetest.New(t, "parcels", testkit.Brokers(t), db)
	w.CreateTopics(3)
	loop := newSignalled()
	close(loop.end)
	s := start(w, servicetest.Config[config](w), service.Parts{Loops: []run.Component{loop.component("loop")}})
	testkit.Eventually(t, func() error {
		if !strings.Contains(w.Logs.String(), "not migrated yet") {
			return net.ErrClosed
		}
		return nil
	})
	s.Ready(http.StatusServiceUnavailable, "consumer")
	require.False(t, happened(loop.begun))
	migrated(true)
	happens(t, loop.begun, "the loop begins")
	s.Ready(http.StatusOK)
}

func TestAServiceAnswersBeforeKafkaAndPostgresAreThere(t *testing.T) {
	t.Parallel()
	w, cfg := setup(t)
	cfg.DatabaseURL, cfg.Kafka.Brokers = "postgres://parcels:parcels@127.0.0.1:1/none", []string{"127.0.0.1:1"}
	s := start(w, cfg, service.Parts{})
	for _, base := range []string{s.Public, s.Admin} {
		s.Answers(base+"/livez", http.StatusOK)
		s.Answers(base+"/readyz", http.StatusServiceUnavailable, "postgres", "kafka_producer", "consumer")
	}
	s.Stop()
}

func TestOpenRefusesAnAddressInUseAndKeepsNoOther(t *testing.T) {
	t.Parallel()
	w, cfg := setup(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	cfg.HTTPAddr, cfg.AdminAddr = taken.Addr().String(), "127.0.0.1:0"
	require.ErrorContains(t, parcels(t.Context(), cfg, w, service.Parts{}), "listen on "+cfg.HTTPAddr)

	public, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	cfg.HTTPListener, cfg.AdminAddr = public, taken.Addr().String()
	require.ErrorContains(t, parcels(t.Context(), cfg, w, service.Parts{}), "listen on "+cfg.AdminAddr)
	_, err = public.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestAComponentThatFailsStopsTheService(t *testing.T) {
	t.Parallel()
	w, cfg := setup(t)
	cfg.HTTPAddr, cfg.AdminAddr = "127.0.0.1:0", "127.0.0.1:0"
	err := parcels(t.Context(), cfg, w, service.Parts{Loops: []run.Component{{Name: "loop", Run: func(context.Context) error { return net.ErrClosed }}}})
	require.ErrorIs(t, err, net.ErrClosed)
	require.ErrorContains(t, err, "loop: ")
}
