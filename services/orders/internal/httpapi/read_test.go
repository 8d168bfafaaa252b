package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/orders/internal/httpapi"
)

func TestGetAnswersNotModifiedToWhoHasIt(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.place(t)
	first := s.do(t, "GET", "/orders/o", "")
	require.Equal(t, 200, first.status, first.body)
	tag := first.header.Get("ETag")
	require.Equal(t, `"1"`, tag)
	for _, has := range []string{tag, "W/" + tag, "*", `"x", ` + tag, `W/"x",W/` + tag + ` , "y"`, ` "x" , * `} {
		a := s.do(t, "GET", "/orders/o", "", "If-None-Match", has)
		require.Equal(t, 304, a.status, has)
		require.Equal(t, tag, a.header.Get("ETag"))
		require.Empty(t, a.body)
	}
	for _, has := range []string{`"2"`, `"11"`, `"x", W/"2"`, "1", `x"1"`, `w/"1"`} {
		require.Equal(t, 200, s.do(t, "GET", "/orders/o", "", "If-None-Match", has).status, has)
	}
	requireProblem(t, s.do(t, "GET", "/orders/nobody", "", "If-None-Match", "*"), 404, "")

	deliver(t, s.OnOrderPlaced, placed())
	a := s.do(t, "GET", "/orders/o", "", "If-None-Match", tag)
	require.Equal(t, 200, a.status)
	require.Equal(t, `"2"`, a.header.Get("ETag"), "it changed")
}

type page struct {
	Items      []httpapi.Order `json:"items"`
	NextCursor string          `json:"next_cursor"`
}

// pages reads a list to its end, one page after the other, and calls between after each.
func (s *site) pages(t *testing.T, query url.Values, between func()) (ids []string) {
	t.Helper()
	for {
		a := s.do(t, "GET", "/orders?"+query.Encode(), "")
		require.Equal(t, 200, a.status, a.body)
		var p page
		require.NoError(t, json.Unmarshal([]byte(a.body), &p))
		require.NotNil(t, p.Items, "items is there even when empty")
		for _, o := range p.Items {
			ids = append(ids, o.OrderID)
		}
		if p.NextCursor == "" {
			return ids
		}
		query.Set("cursor", p.NextCursor)
		between()
	}
}

func TestListHasEachOrderOnceWhileOthersArrive(t *testing.T) {
	t.Parallel()
	s := setup(t)
	place := func(id, user string) {
		a := s.do(t, "POST", "/orders", fmt.Sprintf(`{"order_id":%q,"user_id":%q,"total":1}`, id, user))
		require.Equal(t, 202, a.status, a.body)
	}
	var all, ofU []string
	for i := range 12 {
		id := fmt.Sprintf("o%02d", i)
		all = append(all, id)
		if i%2 == 0 {
			ofU = append(ofU, id)
		}
		place(id, []string{"u", "v"}[i%2])
	}
	// Many were made at the same moment: a page may end between them.
	_, err := s.db.Exec(t.Context(), `UPDATE orders SET created_at = date_trunc('minute', created_at) - interval '1 hour' * (length(order_id) + ascii(right(order_id, 1)) % 3)`)
	require.NoError(t, err)

	n := 0
	arrive := func() { // newer than every page, and in the middle of what a client reads next
		n++
		place(fmt.Sprintf("new%02d", n), "u")
	}
	for _, limit := range []string{"1", "5", "12", "500", ""} {
		query := url.Values{"limit": {limit}}
		if limit == "" {
			query.Del("limit")
		}
		require.ElementsMatch(t, all, old(s.pages(t, query, arrive)), "limit %s", limit)
	}
	require.ElementsMatch(t, ofU, old(s.pages(t, url.Values{"user_id": {"u"}, "limit": {"3"}}, arrive)))
	require.ElementsMatch(t, all, old(s.pages(t, url.Values{"status": {"pending"}, "limit": {"5"}}, arrive)))
	require.ElementsMatch(t, ofU, old(s.pages(t, url.Values{"status": {"pending"}, "user_id": {"u"}, "limit": {"5"}}, arrive)))
	require.Empty(t, s.pages(t, url.Values{"user_id": {"nobody"}}, arrive))
	require.Empty(t, s.pages(t, url.Values{"status": {"confirmed"}}, arrive))
}

// old leaves out what arrived later. It keeps repetitions.
func old(ids []string) (kept []string) {
	for _, id := range ids {
		if id[:1] == "o" {
			kept = append(kept, id)
		}
	}
	return kept
}

func TestListIsNewestFirstAndPagesDoNotGrow(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for i := range 60 {
		require.Equal(t, 202, s.do(t, "POST", "/orders", fmt.Sprintf(`{"order_id":"%02d","user_id":"u","total":1}`, i)).status)
	}
	var p page
	require.NoError(t, json.Unmarshal([]byte(s.do(t, "GET", "/orders", "").body), &p))
	require.Len(t, p.Items, 50, "the default")
	require.Equal(t, "59", p.Items[0].OrderID)
	require.Equal(t, "10", p.Items[49].OrderID)
	require.NotEmpty(t, p.NextCursor)
	p = page{}
	require.NoError(t, json.Unmarshal([]byte(s.do(t, "GET", "/orders?limit=60", "").body), &p))
	require.Len(t, p.Items, 60)
	require.Empty(t, p.NextCursor, "a full last page promises no next one")
}

func TestListRefusesBadQueries(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for query, names := range map[string]string{
		"user_id=%00": "query.user_id", "user_id=%ff": "query.user_id", "status=new": "query.status",
		"limit=0": "query.limit", "limit=501": "query.limit", "limit=-1": "query.limit", "limit=many": "query.limit", "limit=1.5": "query.limit",
		"cursor=!": "query.cursor", "cursor=1-6f": "query.cursor", "cursor=v2.1": "query.cursor", "cursor=v2.1-": "query.cursor", "cursor=v2.-6f": "query.cursor",
		"cursor=v2.1-6": "query.cursor", "cursor=v2.1-6F": "query.cursor", "cursor=v2.%2B1-6f": "query.cursor", "cursor=v2.123456789012345678-6f": "query.cursor",
		"cursor=bnVsbA": "query.cursor",
		// What is there has a value, and one only.
		"status=": "query.status", "limit=": "query.limit", "user_id=": "query.user_id", "limit=1&limit=2": "query.limit",
		"user_id=a&user_id=b": "query.user_id",
	} {
		requireProblem(t, s.do(t, "GET", "/orders?"+query, ""), 400, names)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		drive  func(t *testing.T, s *site)
		status int
		shows  string
	}{
		"pending":          {func(t *testing.T, s *site) {}, 200, `"status":"cancelled"`},
		"awaiting payment": {func(t *testing.T, s *site) { deliver(t, s.OnOrderPlaced, placed()) }, 202, `"status":"cancelling"`},
		"confirmed":        {func(t *testing.T, s *site) { s.settle(t) }, 202, `"status":"cancelling"`},
		"cancelled": {func(t *testing.T, s *site) {
			deliver(t, s.OnOrderPlaced, placed())
			require.Equal(t, 202, s.do(t, "POST", "/orders/o/cancel", "").status)
			deliver(t, s.OnPaymentRefunded, messages.PaymentRefunded{OrderID: "o", UserID: "u", Amount: usd(0)})
		}, 200, `"status":"cancelled"`},
		"failed": {func(t *testing.T, s *site) {
			deliver(t, s.OnOrderPlaced, placed())
			deliver(t, s.OnPaymentFailed, messages.PaymentFailed{OrderID: "o", UserID: "u", Total: usd(100), Reason: "card_declined"})
		}, 409, "cancelled any more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			s.place(t)
			c.drive(t, s)
			first := s.do(t, "POST", "/orders/o/cancel", "")
			require.Equal(t, c.status, first.status, first.body)
			require.Contains(t, first.body, c.shows)
			if c.status != 409 {
				require.Equal(t, "/orders/o", first.header.Get("Location"))
			}
			again := s.do(t, "POST", "/orders/o/cancel", "")
			require.Equal(t, c.status, again.status)
			require.Equal(t, first.body, again.body, "cancelling again changes nothing")
			require.Equal(t, first.header.Get("ETag"), again.header.Get("ETag"))
		})
	}
}

func TestCancelRejectedOrUnknown(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.Equal(t, 201, s.admin(t, "PUT", "/inventory/tutu", `{"name":"Tutu","price":1}`).status)
	deliver(t, s.OnOrderPlaced, messages.OrderPlaced{OrderID: "o", UserID: "u", Total: messages.Money{Currency: "USD"},
		Items: oneOf("tutu")})
	require.Contains(t, s.do(t, "GET", "/orders/o", "").body, `"status":"rejected"`)
	requireProblem(t, s.do(t, "POST", "/orders/o/cancel", ""), 409, "")
	requireProblem(t, s.do(t, "POST", "/orders/nobody/cancel", ""), 404, "")
}
