package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/testkit"
)

func requireReplay(t *testing.T, first, again *answer) {
	t.Helper()
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Empty(t, first.header.Get("Idempotency-Replayed"))
	require.Equal(t, first.status, again.status)
	require.Equal(t, first.body, again.body)
	for _, name := range []string{"Location", "ETag", "Content-Type"} {
		require.Equal(t, first.header.Get(name), again.header.Get(name))
	}
}

func TestIdempotencyKeyGivesTheSameAnswerAgain(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const body = `{"user_id":"u","total":49.90}`
	first := s.do(t, "POST", "/orders", body, "Idempotency-Key", "k")
	require.Equal(t, 202, first.status, first.body)
	require.Contains(t, first.body, `"total":49.90,`, "the exact decimal")
	requireReplay(t, first, s.do(t, "POST", "/orders", body, "Idempotency-Key", "k"))
	requireReplay(t, first, s.do(t, "POST", "/orders?wait=30s", body, "Idempotency-Key", "k"))
	require.Equal(t, 200, s.do(t, "POST", first.header.Get("Location")+"/cancel", "").status)
	requireReplay(t, first, s.do(t, "POST", "/orders", body, "Idempotency-Key", "k"))

	requireProblem(t, s.do(t, "POST", "/orders", `{"user_id":"u","total":1}`, "Idempotency-Key", "k"), 422, "header.Idempotency-Key")
	other := s.do(t, "POST", "/orders", body, "Idempotency-Key", "K")
	require.NotEqual(t, first.body, other.body, "another key is another order")
}

// Another replica has begun a request with the key, and holds it: this one must not wait for it, nor place the order too.
func TestIdempotencyKeyIsBusyWhileItsRequestIsBeingDecided(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = first.Rollback(context.Background()) }()
	_, err = first.Exec(t.Context(), `SELECT pg_advisory_xact_lock(hashtextextended('pasdetrois.orders.key:k', 0))`)
	require.NoError(t, err)
	for _, body := range []string{order, `{"user_id":"u","total":2}`} {
		busy := s.do(t, "POST", "/orders", body, "Idempotency-Key", "k")
		requireProblem(t, busy, 409, "running")
		require.NotEmpty(t, busy.header.Get("Retry-After"))
	}
	require.Equal(t, "0 orders, 0 messages, 0 keys", s.stored(t))
	require.NoError(t, first.Rollback(t.Context())) // it was refused: the key is free
	require.Equal(t, 202, s.do(t, "POST", "/orders", order, "Idempotency-Key", "k").status)
}

// Many at the same moment, at two replicas: one places the order, the others hear its answer or that it is running.
func TestIdempotencyKeyPlacesOneOrderForManyRequestsAtOnce(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, migrations.Up)
	replicas := []*site{over(t, db.Pool(t, "orders")), over(t, db.Pool(t, "orders"))}
	var all []<-chan *answer
	for i := range 20 {
		all = append(all, replicas[i%2].sent(t, "POST", "/orders", `{"user_id":"u","total":1}`, "Idempotency-Key", "k"))
	}
	bodies := make(map[string]bool)
	firsts := 0
	for _, ch := range all {
		switch a := got(t, ch); a.status {
		case 202:
			bodies[a.body] = true
			if a.header.Get("Idempotency-Replayed") == "" {
				firsts++
			}
		default:
			requireProblem(t, a, 409, "running")
		}
	}
	require.Len(t, bodies, 1)
	require.Equal(t, 1, firsts)
	require.Equal(t, "1 orders, 1 messages, 1 keys", replicas[0].stored(t))
}

func TestIdempotencyKeyIsBusyWhileItsRequestWaits(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first := s.sent(t, "POST", "/orders?wait=30s", order, "Idempotency-Key", "k")
	s.there(t, "o")
	busy := s.do(t, "POST", "/orders", order, "Idempotency-Key", "k")
	requireProblem(t, busy, 409, "running")
	require.NotEmpty(t, busy.header.Get("Retry-After"))
	s.settle(t)
	a := got(t, first)
	require.Equal(t, 200, a.status, a.body)
	require.Contains(t, a.body, `"status":"confirmed"`)
	requireReplay(t, a, s.do(t, "POST", "/orders?wait=30s", order, "Idempotency-Key", "k"))
}

// A client that gave up waiting comes back with its key, and gets an answer then.
func TestIdempotencyKeyIsNoLongerBusyWhenItsClientHasLeft(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := s.try(ctx, s.publicURL, "POST", "/orders?wait=30s", order, []string{"Idempotency-Key", "k"})
		left <- err
	}()
	s.there(t, "o")
	leave()
	require.ErrorIs(t, <-left, context.Canceled)
	s.idle(t)
	again := s.do(t, "POST", "/orders", order, "Idempotency-Key", "k")
	require.Equal(t, 202, again.status, again.body)
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
}

func TestIdempotencyKeyStaysFreeAfterARefusal(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.place(t)
	for _, c := range []struct {
		body   string
		status int
	}{
		{`{"user_id":"u","items":[{"sku":"nothing","quantity":1}]}`, 422},
		{`{"order_id":"o","user_id":"u","total":2}`, 409},
		{`{"user_id":"u"}`, 422},
		{`{"user_id":1,"total":1}`, 422},
		{`{`, 400},
		{`{"user_id":"u","total":1}`, 202},
	} {
		a := s.do(t, "POST", "/orders", c.body, "Idempotency-Key", "k")
		require.Equal(t, c.status, a.status, a.body)
		require.Empty(t, a.header.Get("Idempotency-Replayed"))
	}
}

func TestIdempotencyKeyIsOneLineOfPrintableASCII(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const body = `{"user_id":"u","total":1}`
	for _, key := range []string{"", strings.Repeat("k", 256), "\xff", "clé", "a\tb"} {
		requireProblem(t, s.do(t, "POST", "/orders", body, "Idempotency-Key", key), 400, "header.Idempotency-Key")
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.publicURL+"/orders", strings.NewReader(body))
	require.NoError(t, err)
	r.Header["Idempotency-Key"] = []string{"a", "b"}
	resp, err := s.client.Do(r)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 400, resp.StatusCode, "which of them?")
	require.Equal(t, "0 orders, 0 messages, 0 keys", s.stored(t))
	for _, key := range []string{"k", strings.Repeat("k", 255), `"9c1e 3f2a~!"`} {
		require.Equal(t, 202, s.do(t, "POST", "/orders", body, "Idempotency-Key", key).status, key)
	}
}

func TestSameOrderIDIsTheSameOrder(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const id = "a/b ü?"
	a := s.do(t, "POST", "/orders", `{"order_id":"a/b ü?","user_id":"u","total":1}`)
	require.Equal(t, 202, a.status, a.body)
	require.Equal(t, "/orders/"+url.PathEscape(id), a.header.Get("Location"))
	require.Equal(t, 200, s.do(t, "POST", "/orders", `{"order_id":"a/b ü?","user_id":"u","total":1.00}`).status)
	requireProblem(t, s.do(t, "POST", "/orders", `{"order_id":"a/b ü?","user_id":"u","total":2}`), 409, "")
	require.Equal(t, 200, s.do(t, "GET", a.header.Get("Location"), "").status)
	require.Equal(t, "1 orders, 1 messages, 0 keys", s.stored(t))
}

// stored counts what is in the database.
func (s *site) stored(t *testing.T) string {
	t.Helper()
	var orders, messages, keys int
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM outbox),
		(SELECT count(*) FROM idempotency_keys)`).Scan(&orders, &messages, &keys))
	return fmt.Sprintf("%d orders, %d messages, %d keys", orders, messages, keys)
}
