package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/auditlog"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/testkit"
)

// is waits for a state of the consumer.
func (r *running) is(t *testing.T, state string) {
	t.Helper()
	testkit.Eventually(t, func() error {
		if got := r.Status().State; got != state {
			return fmt.Errorf("it is %s, not %s", got, state)
		}
		return nil
	})
}

// members returns how many members the group of service test has.
func (f *fixture) members() int {
	f.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(f.cfg.Brokers...))
	require.NoError(f.t, err)
	defer client.Close()
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{f.cfg.GroupPrefix + "test." + messages.TopicOrders}
	resp, err := req.RequestWith(f.t.Context(), client)
	require.NoError(f.t, err)
	return len(resp.Groups[0].Members)
}

func TestAPausedConsumerFinishesItsWorkLeavesItsGroupsAndGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	begun, finish := make(chan string, 10), make(chan struct{})
	r := f.consume(one(func(ctx context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		begun <- in.Event.OrderID
		<-finish
		return bus.Result{Err: ctx.Err()}
	}))
	f.publish("first")
	require.Equal(t, "first", next(t, begun))
	r.is(t, bus.StateConsuming)
	require.Equal(t, 1, f.members())

	r.Pause(time.Now().Add(time.Hour))
	r.is(t, bus.StatePausing)
	close(finish)
	r.is(t, bus.StatePaused)
	require.Zero(t, f.members())
	require.NoError(t, f.committed(1)())
	require.NoError(t, r.Check(t.Context()), "a paused service is ready")
	f.publish("second")

	require.WithinDuration(t, time.Now().Add(time.Hour), r.Status().PausedUntil, time.Minute)
	require.Empty(t, begun)
	r.Resume()
	require.Equal(t, "second", next(t, begun))
	r.is(t, bus.StateConsuming)
	require.Zero(t, r.Status().PausedUntil)
	testkit.Eventually(t, f.committed(2))
	require.NoError(t, r.stop())
	require.Empty(t, begun)
}

func TestAPauseEndsByItself(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	got := make(chan string, 10)
	r := f.consume(one(func(_ context.Context, in bus.In[messages.OrderPlaced]) bus.Result {
		got <- in.Event.OrderID
		return bus.Result{}
	}))
	r.is(t, bus.StateConsuming)
	for _, id := range []string{"first", "second"} {
		r.Pause(time.Now().Add(time.Hour))
		r.is(t, bus.StatePaused)
		r.Pause(time.Now().Add(100 * time.Millisecond)) // asked for again, it ends at another time
		f.publish(id)
		require.Equal(t, id, next(t, got))
	}
}

func TestAPausedConsumerStops(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	r := f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result { return bus.Result{} }))
	r.Pause(time.Now().Add(time.Hour)) // before or while it starts: no matter
	r.is(t, bus.StatePaused)
	testkit.Eventually(t, func() error { return r.Check(t.Context()) })
	require.NoError(t, r.stop())
}

// entries is an audit log in memory, whose database may be away.
type entries struct {
	mu   sync.Mutex
	kept []string
	away bool
}

func (e *entries) Add(ctx context.Context, added ...auditlog.Entry) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.away {
		return errors.New("the database is away")
	}
	for _, one := range added {
		e.kept = append(e.kept, fmt.Sprint(one.Operation, " of ", one.Subject, " by ", auditlog.Of(ctx).Name, one.Details))
	}
	return nil
}

func TestPausesAndTheirEndsAreInTheAuditLog(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	r := f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result { return bus.Result{} }))
	api, handler := httpx.NewAPI("test", "1", "")
	log := &entries{}
	bus.Register(api, r.Consumer, log)
	ask := func(by, path string) int {
		ctx := auditlog.With(t.Context(), auditlog.Actor{Name: by})
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(ctx, http.MethodPost, path, nil))
		return answer.Code
	}
	r.is(t, bus.StateConsuming)
	log.away = true
	require.Equal(t, http.StatusServiceUnavailable, ask("eve", "/consumers/pause"))
	require.Zero(t, r.Status().PausedUntil, "no change without an entry")
	log.away = false
	require.Equal(t, http.StatusAccepted, ask("ada", "/consumers/resume"))
	require.Empty(t, log.kept, "there was no pause to end")
	for _, by := range []string{"ada", "ada", "bob"} { // ada makes her pause longer
		require.Equal(t, http.StatusAccepted, ask(by, "/consumers/pause?for=3600"))
	}
	log.away = true
	require.Equal(t, http.StatusServiceUnavailable, ask("eve", "/consumers/resume"))
	require.NotZero(t, r.Status().PausedUntil)
	log.away = false
	require.Equal(t, http.StatusAccepted, ask("eve", "/consumers/resume"))
	require.Equal(t, http.StatusAccepted, ask("bob", "/consumers/pause?for=60"))
	require.Equal(t, []string{"consumers.pause of test by adamap[seconds:3600]", "consumers.pause of test by bobmap[seconds:3600]",
		"consumers.resume of test by evemap[]", "consumers.pause of test by bobmap[seconds:60]"}, log.kept)
}

func TestPausingOverHTTP(t *testing.T) {
	t.Parallel()
	f := setup(t, 1)
	r := f.consume(one(func(context.Context, bus.In[messages.OrderPlaced]) bus.Result { return bus.Result{} }))
	api, handler := httpx.NewAPI("test", "1", "")
	bus.Register(api, r.Consumer, &entries{})
	ask := func(method, path string) (int, bus.StatusBody) {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		var body bus.StatusBody
		require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &body))
		return answer.Code, body
	}
	until := func(state string) bus.StatusBody {
		var body bus.StatusBody
		testkit.Eventually(t, func() error {
			if _, body = ask(http.MethodGet, "/consumers"); body.State != state {
				return errors.New(body.State)
			}
			return nil
		})
		return body
	}
	body := until("consuming")
	require.Nil(t, body.PausedUntil)
	require.Equal(t, []bus.GroupBody{{Group: f.cfg.GroupPrefix + "test.orders", KafkaTopic: f.cfg.TopicPrefix + "orders", Topic: "orders"}}, body.Groups)

	code, body := ask(http.MethodPost, "/consumers/pause?for=3600")
	require.Equal(t, http.StatusAccepted, code)
	require.WithinDuration(t, time.Now().Add(time.Hour), *body.PausedUntil, time.Minute)
	until("paused")
	paused := -1.0
	families, err := r.registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == "pasdetrois_consumer_paused" {
			paused = family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	require.Equal(t, 1.0, paused)
	code, _ = ask(http.MethodPost, "/consumers/resume")
	require.Equal(t, http.StatusAccepted, code)
	until("consuming")

	for _, wrong := range []string{"0", "3601", "soon"} {
		code, _ = ask(http.MethodPost, "/consumers/pause?for="+wrong)
		require.Equal(t, http.StatusBadRequest, code)
	}
	until("consuming")
}
