package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/outbox"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
	"pasdetrois/services/orders/internal/httpapi"
	"pasdetrois/services/orders/internal/store"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// silent publishes nothing: these tests end at the outbox.
type silent struct{}

func (silent) Enqueue(...outbox.Row) {}

func (silent) Stuck(context.Context) (time.Time, error) { return time.Time{}, nil }

// site is the public and the admin API of one replica, on listeners of their own, over one database.
type site struct {
	*app.App
	db                  *pgxpool.Pool
	publicURL, adminURL string
	client              *http.Client
	inFlight            atomic.Int64 // requests to the public API
	// stop drains both servers and waits for their end.
	stop func()
}

// unhurried gives each request a minute with the database. With the limit of the service, a request to a database that is well
// may be answered 503 on a busy machine.
var unhurried = httpapi.SetStoreTimeout(time.Minute)

// setup serves both APIs over a database of the test's own.
func setup(t *testing.T) *site {
	t.Helper()
	return over(t, testkit.Database(t, migrations.Up).Pool(t, "orders"), unhurried)
}

// over serves both APIs over a database, with the limits that the service has, until the test ends.
func over(t *testing.T, db *pgxpool.Pool, change ...func(*httpapi.API)) *site {
	t.Helper()
	return overStore(t, db, func(s app.Store) app.Store { return s }, change...)
}

// overStore is over with something between the use cases and their store.
func overStore(t *testing.T, db *pgxpool.Pool, wrap func(app.Store) app.Store, change ...func(*httpapi.API)) *site {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s := &site{db: db, client: &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}}
	s.App = app.New(app.Config{Store: wrap(store.New(db, silent{}, deadletter.NewStore(db))), Metrics: app.NewMetrics(prometheus.NewRegistry()), Log: log,
		Now: time.Now, NewID: uuid.NewString, Policy: domain.Policy{PaymentTimeout: time.Hour, RepublishAfter: time.Hour},
		HeldTimeout: time.Minute, KeyTTL: time.Hour, PlaceWithin: time.Hour})
	a := httpapi.New(s.App, log)
	for _, c := range change {
		c(a)
	}
	api, public := httpx.NewAPI("orders", "1", "test")
	auth.Enforce(api)
	a.Register(api)
	api, admin := httpx.NewAPI("orders admin", "1", "test")
	a.RegisterAdmin(api)

	ctx, cancel := context.WithCancel(context.Background())
	var ended []<-chan error
	listen := func(h http.Handler) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() { done <- httpx.Server{Handler: h, Log: log}.Serve(ctx, l) }()
		ended = append(ended, done)
		return "http://" + l.Addr().String()
	}
	s.publicURL, s.adminURL = listen(s.counted(called(public))), listen(called(admin))
	s.stop = func() {
		cancel()
		s.client.CloseIdleConnections()
		for _, done := range ended {
			require.NoError(t, <-done)
		}
		ended = nil
	}
	t.Cleanup(s.stop)
	return s
}

// callers are the callers that a request may name in the header Caller. Without the header, it comes from anyone.
var callers = map[string]auth.Caller{
	"nobody":   {},
	"ada":      auth.User("ada", auth.Write, auth.Read),
	"bob":      auth.User("bob", auth.Write, auth.Read),
	"nameless": auth.User("", auth.Write, auth.Read),
	"clerk":    auth.User("sue", auth.Write, auth.ReadAll),
	"support":  auth.User("sue", auth.ReadAll),
	"admin":    auth.User("root", auth.Admin),
	"machine":  auth.User("", auth.Admin),
}

// called stands for the login: it knows who calls.
func called(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := callers[r.Header.Get("Caller")]; ok {
			r = r.WithContext(auth.With(r.Context(), c))
		}
		next.ServeHTTP(w, r)
	})
}

func (s *site) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.inFlight.Add(1)
		defer s.inFlight.Add(-1)
		next.ServeHTTP(w, r)
	})
}

// idle waits until no request is being answered.
func (s *site) idle(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, func() error {
		if n := s.inFlight.Load(); n != 0 {
			return fmt.Errorf("%d requests are being answered", n)
		}
		return nil
	})
}

// quiet waits until nobody uses the database: who waits holds no connection, and commits are known.
func (s *site) quiet(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, func() error {
		if n := s.db.Stat().AcquiredConns(); n != 0 {
			return fmt.Errorf("%d connections are in use", n)
		}
		return nil
	})
}

// answer is an HTTP answer, read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request to the public API; header is pairs of name and value.
func (s *site) do(t *testing.T, method, path, body string, header ...string) *answer {
	t.Helper()
	return s.send(t, s.publicURL, method, path, body, header)
}

// admin sends a request to the admin API.
func (s *site) admin(t *testing.T, method, path, body string, header ...string) *answer {
	t.Helper()
	return s.send(t, s.adminURL, method, path, body, header)
}

func (s *site) send(t *testing.T, site, method, path, body string, header []string) *answer {
	t.Helper()
	a, err := s.try(t.Context(), site, method, path, body, header)
	require.NoError(t, err)
	return a
}

func (s *site) try(ctx context.Context, site, method, path, body string, header []string) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, site+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	return &answer{status: resp.StatusCode, header: resp.Header, body: string(all)}, err
}

// sent is a request that is under way.
func (s *site) sent(t *testing.T, method, path, body string, header ...string) <-chan *answer {
	t.Helper()
	ch := make(chan *answer, 1)
	go func() { ch <- s.once(t.Context(), method, path, body, header) }()
	return ch
}

// insists is sent by a client that comes back after a 503, as one on a busy machine has to.
func (s *site) insists(t *testing.T, method, path, body string, header ...string) <-chan *answer {
	t.Helper()
	ch := make(chan *answer, 1)
	go func() {
		for {
			if a := s.once(t.Context(), method, path, body, header); a.status != 503 {
				ch <- a
				return
			}
		}
	}()
	return ch
}

// once sends a request to the public API. A failure is the body of an answer without a status.
func (s *site) once(ctx context.Context, method, path, body string, header []string) *answer {
	a, err := s.try(ctx, s.publicURL, method, path, body, header)
	if err != nil {
		a = &answer{body: err.Error()}
	}
	return a
}

// got waits for the answer to a request that is under way.
func got(t *testing.T, ch <-chan *answer) *answer {
	t.Helper()
	select {
	case a := <-ch:
		return a
	case <-time.After(45 * time.Second):
		require.FailNow(t, "no answer")
		return nil
	}
}

func requireProblem(t *testing.T, a *answer, status int, mentions string) {
	t.Helper()
	require.Equal(t, status, a.status, a.body)
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
	require.Contains(t, a.body, mentions)
}

// The messages that move an order "o" of user "u" over 1 USD.
func placed() messages.OrderPlaced {
	return messages.OrderPlaced{OrderID: "o", UserID: "u", Total: usd(100), HasTotal: true}
}

func captured() messages.PaymentCaptured {
	return messages.PaymentCaptured{OrderID: "o", UserID: "u", Amount: usd(100), PaymentID: "pay-1"}
}

func oneOf(sku string) []messages.Item { return []messages.Item{{SKU: sku, Quantity: 1}} }

func usd(minor int64) messages.Money { return messages.Money{Minor: minor, Currency: "USD"} }

const order = `{"order_id":"o","user_id":"u","total":1}`

// deliver hands one event to a use case that is expected to take it.
func deliver[E messages.Event](t *testing.T, h bus.Handler[E], e E) {
	t.Helper()
	r, err := messages.Message{ID: uuid.NewString(), Event: e, Source: "test", Time: time.Now()}.Record()
	require.NoError(t, err)
	results := h(t.Context(), []bus.In[E]{{ID: "test", Event: e, Time: time.Now(), Record: r}})
	require.Len(t, results, 1)
	require.NoError(t, results[0].Err)
}
