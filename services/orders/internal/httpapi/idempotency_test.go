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
	replicas := []*site{over(t, db.Pool(t, "orders"), unhurried), over(t, db.Pool(t, "orders"), unhurried)}
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
		{`{"user_id":true,"total":1}`, 422},
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
	for _, key := range []string{"", `""`, strings.Repeat("k", 256), "\xff", "clé", "a\tb"} {
		requireProblem(t, s.do(t, "POST", "/orders", body, "Idempotency-Key", key), 400, "header.Idempotency-Key")
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.publicURL+"/orders", strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
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

// A client library that begins to quote its keys, as the IETF draft wants it, repeats its requests all the same.
func TestIdempotencyKeyMayBeAStructuredString(t *testing.T) {
	t.Parallel()
	s := setup(t)
	first := s.do(t, "POST", "/orders", `{"user_id":"u","total":1}`, "Idempotency-Key", "k-aaa")
	require.Equal(t, 202, first.status, first.body)
	for _, key := range []string{`"k-aaa"`, `"k-aaa";foo=1`, ` "k-aaa" `, `"k-aaa";a;b="c"`} {
		requireReplay(t, first, s.do(t, "POST", "/orders", `{"user_id":"u","total":1}`, "Idempotency-Key", key))
	}
	for _, key := range []string{"k-aaa;foo=1", `"k-aaa`, `k-aaa"`, `"k-aaa" x`, `:ay1hYWE=:`} {
		require.Equal(t, 202, s.do(t, "POST", "/orders", `{"user_id":"u","total":1}`, "Idempotency-Key", key).status, key)
	}
	require.Equal(t, "6 orders, 6 messages, 6 keys", s.stored(t))
}

// A request is what it asks for, not its bytes: another process, or another version of a library, writes them otherwise.
func TestIdempotencyKeyComparesWhatWasAsked(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const sku = "vinyl-swan-lake"
	first := s.do(t, "POST", "/orders", `{"order_id":7,"user_id":"9007199254740993","items":[{"sku":"`+sku+`","quantity":2}],"currency":"USD"}`, "Idempotency-Key", "k")
	require.Equal(t, 202, first.status, first.body)
	for _, body := range []string{
		`{"items": [ {"quantity": 2.0, "sku": "` + sku + `"} ], "user_id": 9007199254740993, "order_id": "7"}`,
		`{"order_id":7,"user_id":"9007199254740993","items":[{"sku":"` + sku + `","quantity":20e-1}],"currency":"usd"}`,
		`{"order_id":"\u0037","user_id":9007199254740993,"items":[{"sku":"` + sku + `","quantity":2e0}],"currency":null,"email":null}`,
	} {
		requireReplay(t, first, s.do(t, "POST", "/orders", body, "Idempotency-Key", "k"))
	}
	for _, body := range []string{
		`{"order_id":7,"user_id":"9007199254740992","items":[{"sku":"` + sku + `","quantity":2}]}`,
		`{"order_id":7,"user_id":"9007199254740993","items":[{"sku":"` + sku + `","quantity":3}]}`,
		`{"order_id":7,"user_id":"9007199254740993","items":[{"sku":"` + sku + `","quantity":2}],"currency":"EUR"}`,
	} {
		requireProblem(t, s.do(t, "POST", "/orders", body, "Idempotency-Key", "k"), 422, "header.Idempotency-Key")
	}
}

// A delivery that is reported twice is on the shelf once.
func TestIdempotencyKeyRestocksOnce(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const path = "/inventory/vinyl-swan-lake/restock"
	first := s.admin(t, "POST", path, `{"quantity":10}`, "Idempotency-Key", "delivery-4711")
	require.Equal(t, 200, first.status, first.body)
	require.Contains(t, first.body, `"stocked":510`)
	requireReplay(t, first, s.admin(t, "POST", path, `{"quantity": 10.0}`, "Idempotency-Key", `"delivery-4711"`))
	requireProblem(t, s.admin(t, "POST", path, `{"quantity":11}`, "Idempotency-Key", "delivery-4711"), 422, "header.Idempotency-Key")
	requireProblem(t, s.admin(t, "POST", "/inventory/vinyl-giselle/restock", `{"quantity":10}`, "Idempotency-Key", "delivery-4711"), 422, "header.Idempotency-Key")
	requireProblem(t, s.do(t, "POST", "/orders", order, "Idempotency-Key", "delivery-4711"), 422, "header.Idempotency-Key")
	requireProblem(t, s.admin(t, "POST", "/inventory/none/restock", `{"quantity":1}`, "Idempotency-Key", "other"), 404, "")
	require.Contains(t, s.do(t, "GET", "/inventory/vinyl-swan-lake", "").body, `"stocked":510`)
	require.Contains(t, s.admin(t, "POST", path, `{"quantity":1}`, "Idempotency-Key", "other").body, `"stocked":511`, "a refusal leaves the key free")
}

func TestSameOrderIDIsTheSameOrder(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const id = "shop:7_a.b-C"
	a := s.do(t, "POST", "/orders", `{"order_id":"`+id+`","user_id":"u","total":1}`)
	require.Equal(t, 202, a.status, a.body)
	require.Equal(t, "/orders/"+url.PathEscape(id), a.header.Get("Location"))
	require.Equal(t, 200, s.do(t, "POST", "/orders", `{"order_id":"`+id+`","user_id":"u","total":1.00}`).status)
	requireProblem(t, s.do(t, "POST", "/orders", `{"order_id":"`+id+`","user_id":"u","total":2}`), 409, "")
	require.Equal(t, 200, s.do(t, "GET", a.header.Get("Location"), "").status)
	require.Equal(t, "1 orders, 1 messages, 0 keys", s.stored(t))
}

// An order's id stands in the subject of emails, so an HTTP client cannot make it a sentence.
func TestAnOrderIDFromHTTPIsNoSentence(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, id := range []string{`"4711 could not be paid. Please pay again at http://pay.example/4711"`, `"/"`, `"a/b"`, `"ü"`, `" a"`, `"."`, `".."`,
		`"` + strings.Repeat("x", 129) + `"`, `1.5`, `1e3`, `true`, `["o"]`, `{}`} {
		requireProblem(t, s.do(t, "POST", "/orders", `{"order_id":`+id+`,"user_id":"u","total":1}`), 422, "body.order_id")
	}
	require.Equal(t, "0 orders, 0 messages, 0 keys", s.stored(t))
	for id, want := range map[string]string{`7`: "7", `-7`: "-7", `9007199254740993`: "9007199254740993", `"` + strings.Repeat("x", 128) + `"`: strings.Repeat("x", 128)} {
		a := s.do(t, "POST", "/orders", `{"order_id":`+id+`,"user_id":12,"total":1}`)
		require.Equal(t, 202, a.status, a.body)
		require.Contains(t, a.body, `"order_id":"`+want+`","user_id":"12"`)
	}
}

// stored counts what is in the database.
func (s *site) stored(t *testing.T) string {
	t.Helper()
	var orders, messages, keys int
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM outbox),
		(SELECT count(*) FROM idempotency_keys)`).Scan(&orders, &messages, &keys))
	return fmt.Sprintf("%d orders, %d messages, %d keys", orders, messages, keys)
}
