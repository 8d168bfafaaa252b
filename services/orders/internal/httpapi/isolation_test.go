package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/httpapi"
)

// withLogins serves an API whose callers log in, and keeps the statements of its requests.
func withLogins(t *testing.T) (*site, *testkit.Statements) {
	t.Helper()
	db, statements := testkit.Database(t, migrations.Up).Observed(t, "orders")
	return over(t, db, unhurried, func(a *httpapi.API) { a.WithLogins() }), statements
}

// by is the header of a caller, and of what else is given.
func by(caller string, header ...string) []string {
	return append([]string{"Caller", caller}, header...)
}

// taken places an order for a caller.
func (s *site) taken(t *testing.T, caller, id string) *answer {
	t.Helper()
	a := s.do(t, "POST", "/orders", fmt.Sprintf(`{"order_id":%q,"total":1}`, id), by(caller)...)
	require.Equal(t, 202, a.status, a.body)
	return a
}

// requireAlike compares two answers, but for the names of the orders in their addresses.
func requireAlike(t *testing.T, want, got *answer) {
	t.Helper()
	require.Equal(t, want.status, got.status, got.body)
	require.Equal(t, want.body, got.body)
	for _, a := range []*answer{want, got} {
		a.header.Del("Date")
	}
	require.Equal(t, want.header, got.header)
}

// Each request about an order of another user is answered, and runs the same statements with the same results, as one about an order
// that does not exist. Nothing is left to tell the two apart, by content or by time.
func TestAnOrderOfAnotherIsLikeNone(t *testing.T) {
	t.Parallel()
	s, statements := withLogins(t)
	s.taken(t, "ada", "o")
	deliver(t, s.OnOrderPlaced, messages.OrderPlaced{OrderID: "o", UserID: "ada", Total: usd(100), HasTotal: true})
	lines := messages.OrderPlaced{OrderID: "lines", UserID: "ada", Total: messages.Money{Currency: "USD"}, Items: oneOf("record-brush")}
	deliver(t, s.OnOrderPlaced, lines)
	slash := placed()
	slash.OrderID, slash.UserID = "a/b", "ada"
	deliver(t, s.OnOrderPlaced, slash)
	for _, path := range []string{"/orders/o", "/orders/%6F", "/orders/lines", "/orders/a%2Fb"} {
		require.Equal(t, 200, s.do(t, "GET", path, "", by("ada")...).status, path)
	}

	stream := []string{"Accept", "text/event-stream"}
	for _, caller := range []string{"bob", "nameless"} {
		for _, id := range []string{"o", "%6F", "lines", "a%2Fb"} {
			for name, c := range map[string]struct {
				method, path string
				header       []string
			}{
				"get":                          {"GET", "", nil},
				"head":                         {"HEAD", "", nil},
				"get with a wait":              {"GET", "?wait=30s", nil},
				"get with its ETag":            {"GET", "", []string{"If-None-Match", `"2"`}},
				"get with any ETag":            {"GET", "", []string{"If-None-Match", "*"}},
				"timeline":                     {"GET", "/events", nil},
				"head of the timeline":         {"HEAD", "/events", nil},
				"stream":                       {"GET", "/events", stream},
				"head of the stream":           {"HEAD", "/events", stream},
				"stream from an event":         {"GET", "/events", append(stream, "Last-Event-ID", "1")},
				"stream from the last event":   {"GET", "/events", append(stream, "Last-Event-ID", "2")},
				"stream from an event to come": {"GET", "/events", append(stream, "Last-Event-ID", "99")},
				"cancel":                       {"POST", "/cancel", nil},
			} {
				statements.Take()
				want := s.do(t, c.method, "/orders/none"+c.path, "", by(caller, c.header...)...)
				run := statements.Take()
				require.Equal(t, 404, want.status, name)
				require.NotEmpty(t, run, name)
				requireAlike(t, want, s.do(t, c.method, "/orders/"+id+c.path, "", by(caller, c.header...)...))
				require.Equal(t, run, statements.Take(), "%s of %s by %s", name, id, caller)
			}
		}
	}
	require.Equal(t, 404, s.do(t, "GET", "/orders/O", "", by("ada")...).status, "ids have a case")
	require.Equal(t, 404, s.do(t, "POST", "/orders/o/cancel", "", by("clerk")...).status, "a caller that reads all changes only its own")
	require.Contains(t, s.do(t, "GET", "/orders/o", "", by("ada")...).body, `"status":"awaiting_payment"`, "nobody cancelled it")
	var audited int
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT count(*) FROM audit_log`).Scan(&audited))
	require.Zero(t, audited, "nothing was done")
	require.Equal(t, 202, s.do(t, "POST", "/orders/o/cancel", "", by("admin")...).status)
	for _, caller := range []string{"ada", "support", "admin"} {
		require.Equal(t, 304, s.do(t, "GET", "/orders/o", "", by(caller, "If-None-Match", `"3"`)...).status, caller)
		require.Contains(t, s.do(t, "GET", "/orders/o/events", "", by(caller)...).body, `"to":"cancelling"`, caller)
	}
}

// A request for another's order holds no row of it, so it delays no step of that order.
func TestCancellingAnOrderOfAnotherDoesNotWaitForIt(t *testing.T) {
	t.Parallel()
	s, _ := withLogins(t)
	s.taken(t, "ada", "o")
	working, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = working.Rollback(context.WithoutCancel(t.Context())) })
	_, err = working.Exec(t.Context(), `SELECT FROM orders WHERE order_id = 'o' FOR UPDATE`)
	require.NoError(t, err)
	require.Equal(t, 404, s.do(t, "POST", "/orders/o/cancel", "", by("bob")...).status)
	require.NoError(t, working.Rollback(t.Context()))
}

func TestAListHasTheOrdersThatItsCallerMayRead(t *testing.T) {
	t.Parallel()
	s, _ := withLogins(t)
	for i := range 4 {
		s.taken(t, "ada", fmt.Sprintf("a%d", i))
		s.taken(t, "bob", fmt.Sprintf("b%d", i))
	}
	list := func(caller, query string) (ids []string, next string) {
		a := s.do(t, "GET", "/orders?"+query, "", by(caller)...)
		require.Equal(t, 200, a.status, a.body)
		var page struct {
			Items []struct {
				OrderID string `json:"order_id"`
			}
			NextCursor string `json:"next_cursor"`
		}
		require.NoError(t, json.Unmarshal([]byte(a.body), &page))
		for _, o := range page.Items {
			ids = append(ids, o.OrderID)
		}
		return ids, page.NextCursor
	}
	all := []string{"b3", "a3", "b2", "a2", "b1", "a1", "b0", "a0"}
	for _, c := range []struct {
		caller, query string
		want          []string
	}{
		{"ada", "", []string{"a3", "a2", "a1", "a0"}},
		{"ada", "user_id=ada", []string{"a3", "a2", "a1", "a0"}},
		{"ada", "status=pending", []string{"a3", "a2", "a1", "a0"}},
		{"ada", "status=confirmed", nil},
		{"ada", "user_id=bob", nil},
		{"ada", "user_id=bob&status=pending", nil},
		{"ada", "user_id=ADA", nil},
		{"ada", "user_id=ada%20", nil},
		{"nameless", "", nil},
		{"nameless", "user_id=ada", nil},
		{"support", "", all},
		{"support", "user_id=bob", []string{"b3", "b2", "b1", "b0"}},
		{"admin", "", all},
		{"machine", "", all},
		{"", "", all},
	} {
		ids, _ := list(c.caller, c.query)
		require.Equal(t, c.want, ids, "%s ?%s", c.caller, c.query)
	}

	// The cursor of a page is a place, and opens nothing.
	ids, next := list("ada", "limit=2")
	require.Equal(t, []string{"a3", "a2"}, ids)
	ids, _ = list("bob", "limit=10&cursor="+url.QueryEscape(next))
	require.Equal(t, []string{"b1", "b0"}, ids, "a cursor of ada is a time for bob")
	ids, _ = list("bob", "user_id=ada&cursor="+url.QueryEscape(next))
	require.Empty(t, ids)
	_, next = list("support", "limit=1")
	ids, _ = list("ada", "cursor="+url.QueryEscape(next))
	require.Equal(t, []string{"a3", "a2", "a1", "a0"}, ids)
}

func TestAnOrderIsItsCallersOwn(t *testing.T) {
	t.Parallel()
	s, _ := withLogins(t)
	for _, c := range []struct {
		caller, body string
		status       int
		mentions     string
	}{
		{"ada", `{"total":1}`, 202, `"user_id":"ada"`},
		{"ada", `{"user_id":null,"total":1}`, 202, `"user_id":"ada"`},
		{"ada", `{"user_id":"ada","total":1}`, 202, `"user_id":"ada"`},
		{"ada", `{"user_id":"bob","total":1}`, 403, "another user's"},
		{"ada", `{"user_id":"Ada","total":1}`, 403, "another user's"},
		{"ada", `{"user_id":"ada ","total":1}`, 422, "user_id"},
		{"ada", `{"user_id":"","total":1}`, 422, "body.user_id"},
		{"nameless", `{"total":1}`, 422, "user_id"},
		{"nameless", `{"user_id":"ada","total":1}`, 403, "another user's"},
		{"admin", `{"total":1}`, 202, `"user_id":"root"`},
		{"admin", `{"user_id":"bob","total":1}`, 202, `"user_id":"bob"`},
		{"machine", `{"user_id":"bob","total":1}`, 202, `"user_id":"bob"`},
		{"machine", `{"total":1}`, 422, "user_id"},
		{"support", `{"total":1}`, 403, "orders:write"},
		{"nobody", `{"user_id":"ada","total":1}`, 401, "log in"},
	} {
		a := s.do(t, "POST", "/orders", c.body, by(c.caller)...)
		require.Equal(t, c.status, a.status, "%s %s: %s", c.caller, c.body, a.body)
		require.Contains(t, a.body, c.mentions)
	}
	open := setup(t).do(t, "POST", "/orders", `{"total":1}`)
	require.Equal(t, 422, open.status, "without logins an order names its user")
	require.Contains(t, open.body, "expected required property user_id to be present")
}

// An order id says only that it is taken. Whose it is, and what is in the order, does not show.
func TestATakenOrderIDShowsNothingOfItsOrder(t *testing.T) {
	t.Parallel()
	s, statements := withLogins(t)
	s.taken(t, "ada", "hers")
	s.taken(t, "bob", "his")
	again := func(caller, id, total string) (*answer, []string) {
		statements.Take()
		a := s.do(t, "POST", "/orders", fmt.Sprintf(`{"order_id":%q,"total":%s}`, id, total), by(caller)...)
		return a, statements.Take()
	}
	want, run := again("bob", "his", "2")
	requireProblem(t, want, 409, "the order id is taken by an order with other content")
	for _, total := range []string{"1", "2"} { // her own content, and another
		a, same := again("bob", "hers", total)
		requireAlike(t, want, a)
		require.Equal(t, run, same)
		require.NotContains(t, a.body, "ada")
	}
	a, _ := again("bob", "his", "1")
	require.Equal(t, 200, a.status, "a repetition of one's own order")
}

func TestIdempotencyKeysOfTwoUsersAreIndependent(t *testing.T) {
	t.Parallel()
	s, _ := withLogins(t)
	const body, key = `{"total":1}`, "k"
	place := func(caller, path string) *answer {
		a := s.do(t, "POST", path, body, by(caller, "Idempotency-Key", key)...)
		require.Equal(t, 202, a.status, a.body)
		return a
	}
	hers := place("ada", "/orders")
	his := place("bob", "/orders")
	require.Empty(t, his.header.Get("Idempotency-Replayed"))
	require.Contains(t, hers.body, `"user_id":"ada"`)
	require.Contains(t, his.body, `"user_id":"bob"`)
	requireReplay(t, hers, place("ada", "/orders"))
	requireReplay(t, his, place("bob", "/orders"))

	// A key that is kept from the time before logins is nobody's now.
	before := s.do(t, "POST", "/orders", `{"user_id":"ada","total":1}`, "Idempotency-Key", "old")
	require.Equal(t, 202, before.status)
	a := s.do(t, "POST", "/orders", `{"user_id":"ada","total":1}`, by("ada", "Idempotency-Key", "old")...)
	require.Equal(t, 202, a.status)
	require.NotEqual(t, before.body, a.body)

	// Keys of admins.
	for _, caller := range []string{"admin", "machine", ""} {
		a := s.admin(t, "POST", "/inventory/record-brush/restock", `{"quantity":1}`, by(caller, "Idempotency-Key", key)...)
		require.Equal(t, 200, a.status, a.body)
		if caller == "" {
			require.Equal(t, "true", a.header.Get("Idempotency-Replayed"), "of the admin without a user")
		} else {
			require.Empty(t, a.header.Get("Idempotency-Replayed"), caller)
		}
	}
}

// A key that one user's request holds is free for another's.
func TestABusyIdempotencyKeyIsBusyForItsUserOnly(t *testing.T) {
	t.Parallel()
	s, _ := withLogins(t)
	held := s.sent(t, "POST", "/orders?wait=30s", `{"order_id":"hers","total":1}`, by("ada", "Idempotency-Key", "k")...)
	s.there(t, "hers")
	requireProblem(t, s.do(t, "POST", "/orders", `{"order_id":"hers","total":1}`, by("ada", "Idempotency-Key", "k")...), 409, "still running")
	his := s.do(t, "POST", "/orders", `{"order_id":"his","total":1}`, by("bob", "Idempotency-Key", "k")...)
	require.Equal(t, 202, his.status, his.body)
	deliver(t, s.OnOrderPlaced, messages.OrderPlaced{OrderID: "hers", UserID: "ada", Total: usd(100), HasTotal: true})
	deliver(t, s.OnPaymentCaptured, messages.PaymentCaptured{OrderID: "hers", UserID: "ada", Amount: usd(100), PaymentID: "p"})
	hers := got(t, held)
	require.Contains(t, hers.body, `"status":"confirmed"`)
	requireReplay(t, hers, s.do(t, "POST", "/orders", `{"order_id":"hers","total":1}`, by("ada", "Idempotency-Key", "k")...))
	requireReplay(t, his, s.do(t, "POST", "/orders", `{"order_id":"his","total":1}`, by("bob", "Idempotency-Key", "k")...))

	// Another replica has begun a request with ada's key.
	first, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = first.Rollback(context.WithoutCancel(t.Context())) })
	_, err = first.Exec(t.Context(), `SELECT pg_advisory_xact_lock(hashtextextended('pasdetrois.orders.key:' || E'ada\nbusy', 0))`)
	require.NoError(t, err)
	requireProblem(t, s.do(t, "POST", "/orders", `{"total":1}`, by("ada", "Idempotency-Key", "busy")...), 409, "still running")
	require.Equal(t, 202, s.do(t, "POST", "/orders", `{"total":1}`, by("bob", "Idempotency-Key", "busy")...).status)
	require.NoError(t, first.Rollback(t.Context()))
}

// An order that is no longer the caller's, since it was erased, ends its stream.
func TestAStreamEndsWhenItsOrderIsNoLongerTheCallers(t *testing.T) {
	t.Parallel()
	s := over(t, testkit.Database(t, migrations.Up).Pool(t, "orders"), unhurried, httpapi.SetHeartbeat(100*time.Millisecond),
		func(a *httpapi.API) { a.WithLogins() })
	s.taken(t, "ada", "o")
	f := s.followed(t, "o", "", by("ada")...)
	require.Equal(t, "1 pending", f.event(t))
	_, err := s.db.Exec(t.Context(), `UPDATE orders SET user_id = 'erased-1', version = version + 1`)
	require.NoError(t, err)
	for silent := 0; f.next(t) != ""; silent++ {
		require.Less(t, silent, 300, "the stream goes on")
	}
	require.Equal(t, 404, s.do(t, "GET", "/orders/o/events", "", by("ada", "Accept", "text/event-stream", "Last-Event-ID", "1")...).status)
}

// A login costs no statement: placing and reading an order take as many as without.
func TestALoginCostsNoStatement(t *testing.T) {
	t.Parallel()
	s, statements := withLogins(t)
	count := func(caller string) (n []int) {
		for _, c := range [][3]string{{"POST", "/orders", fmt.Sprintf(`{"order_id":"of-%s","user_id":"ada","total":1}`, caller)},
			{"GET", "/orders/of-" + caller, ""}, {"GET", "/orders/of-" + caller + "/events", ""}, {"GET", "/orders", ""},
			{"POST", "/orders/of-" + caller + "/cancel", ""}} {
			statements.Take()
			a := s.do(t, c[0], c[1], c[2], by(caller, "Idempotency-Key", "k-"+caller)...)
			require.Less(t, a.status, 300, a.body)
			n = append(n, len(statements.Take()))
		}
		return n
	}
	count("first") // connects
	require.Equal(t, count("anyone"), count("ada"))
}

// A plain user reads the catalogue, with the right to place orders or to read them.
func TestTheCatalogueIsForEveryCallerWithAScope(t *testing.T) {
	t.Parallel()
	s, _ := withLogins(t)
	for caller, status := range map[string]int{"ada": 200, "nameless": 200, "support": 200, "admin": 200, "": 200, "nobody": 401} {
		for _, path := range []string{"/inventory", "/inventory/record-brush"} {
			require.Equal(t, status, s.do(t, "GET", path, "", by(caller)...).status, "%s %s", caller, path)
		}
	}
}
