package httpapi_test

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRepublishing(t *testing.T) {
	t.Parallel()
	s := setup(t)
	began := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	for _, id := range []string{"a", "b", "c"} {
		require.Equal(t, 202, s.do(t, "POST", "/orders", `{"order_id":"`+id+`","user_id":"u","total":1}`).status)
	}
	w := s.admin(t, "POST", "/orders/a/republish", "")
	require.Equal(t, 200, w.status, w.body)
	require.JSONEq(t, `{"order_id":"a","status":"pending"}`, w.body)
	requireProblem(t, s.admin(t, "POST", "/orders/nobody/republish", ""), 404, "")

	var ids []string
	for cursor := ""; ; {
		w := s.admin(t, "POST", "/orders/republish?limit=2&placed_from="+began+"&cursor="+url.QueryEscape(cursor), "")
		require.Equal(t, 200, w.status, w.body)
		var page struct {
			Items []struct {
				OrderID string `json:"order_id"`
			}
			NextCursor string `json:"next_cursor"`
		}
		require.NoError(t, json.Unmarshal([]byte(w.body), &page))
		for _, item := range page.Items {
			ids = append(ids, item.OrderID)
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	require.Equal(t, []string{"c", "b", "a"}, ids)
	w = s.admin(t, "POST", "/orders/republish?placed_from="+began+"&placed_to="+began, "")
	require.JSONEq(t, `{"items":[]}`, w.body)
	requireProblem(t, s.admin(t, "POST", "/orders/republish", ""), 400, "placed_from")
	require.Equal(t, 405, s.do(t, "POST", "/orders/republish?placed_from="+began, "").status, "an order on the public server")
}
