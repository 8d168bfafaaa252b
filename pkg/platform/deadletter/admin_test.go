package deadletter_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/deadletter"
)

func TestListShowsTheParkedOnesOldestFirstPageByPage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var want []float64
	for i := range int64(5) {
		want = append(want, float64(w.park(i)))
	}
	gone := w.park(5)
	w.do("POST", fmt.Sprintf("/dead-letters/%d/discard", gone), 200)

	var got []float64
	for cursor := ""; ; {
		page := w.do("GET", "/dead-letters?limit=2&cursor="+cursor, 200)
		items := page["items"].([]any)
		require.LessOrEqual(t, len(items), 2)
		for _, item := range items {
			got = append(got, item.(map[string]any)["id"].(float64))
		}
		next, more := page["next_cursor"].(string)
		if !more {
			break
		}
		cursor = next
	}
	require.Equal(t, want, got)
	require.Len(t, w.do("GET", "/dead-letters?state=all", 200)["items"], 6)
	require.Len(t, w.do("GET", "/dead-letters?state=discarded", 200)["items"], 1)
	require.Equal(t, []any{}, w.do("GET", "/dead-letters?state=replayed", 200)["items"], "a list, even when it is empty")

	first := w.do("GET", "/dead-letters?limit=1", 200)["items"].([]any)[0].(map[string]any)
	delete(first, "parked_at")
	require.Equal(t, map[string]any{"id": want[0], "topic": "things", "partition": 1.0, "offset": 0.0, "key": "k", "reason": "not_json",
		"value_bytes": 7.0, "detail": "no JSON at all", "state": "parked", "attempts": 0.0, "time": at.Format(time.RFC3339Nano)}, first)
}

func TestListRefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, query := range []string{"state=lost", "limit=0", "limit=501", "limit=x", "cursor=x", "cursor=17", "cursor=v2.-1", "cursor=v2.0", "cursor=v2.9999999999999999999",
		"state=", "limit=", "limit=1&limit=2"} {
		rec := httptest.NewRecorder()
		w.admin.ServeHTTP(rec, httptest.NewRequest("GET", "/dead-letters?"+query, nil))
		require.Equal(t, 400, rec.Code, query)
		require.Equal(t, "application/problem+json", rec.Header().Get("Content-Type"))
	}
}

func TestShowTellsEverything(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, w.Park(t.Context(), record(0), "panic", "nil map", "goroutine 7"))
	require.NoError(t, w.Park(t.Context(), messages.Record{Topic: "things", Offset: 1, Time: at, Key: []byte{0xff}, Value: []byte{0xfe},
		Headers: []messages.Header{{Key: "h", Value: []byte{0xfd}}}}, "not_json", "", ""))
	require.NoError(t, w.Park(t.Context(), messages.Record{Topic: "things", Offset: 2, Time: at}, "not_json", "", ""))
	letters, err := w.List(t.Context(), deadletter.Filter{Limit: 10})
	require.NoError(t, err)
	show := func(i int) map[string]any { return w.do("GET", fmt.Sprintf("/dead-letters/%d", letters[i].ID), 200) }

	text := show(0)
	require.Equal(t, `{"n":1}`, text["value"])
	require.Equal(t, "goroutine 7", text["stack"])
	require.Equal(t, []any{map[string]any{"key": "ce_id", "value": "a"}}, text["headers"])

	binary := show(1)
	require.Equal(t, []any{"/w==", "/g=="}, []any{binary["key_base64"], binary["value_base64"]})
	require.NotContains(t, binary, "value")
	require.Equal(t, []any{map[string]any{"key": "h", "value_base64": "/Q=="}}, binary["headers"])

	null := show(2)
	require.NotContains(t, null, "value")
	require.NotContains(t, null, "value_base64")
}

func TestALetterThatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.do("GET", "/dead-letters/999", 404)
	w.do("POST", "/dead-letters/999/replay", 404)
	w.do("POST", "/dead-letters/999/discard", 404)
	w.do("GET", "/dead-letters/999/replay", 405)
}

func TestReplayIsAcceptedAndDoneInTheBackground(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := w.park(0)
	replay := fmt.Sprintf("/dead-letters/%d/replay", id)
	require.Equal(t, "replaying", w.do("POST", replay, http.StatusAccepted)["state"])
	require.Contains(t, w.do("POST", replay, http.StatusConflict)["detail"], "not parked")
	w.do("POST", fmt.Sprintf("/dead-letters/%d/discard", id), http.StatusConflict)

	_, err := w.db.Exec(t.Context(), `UPDATE dead_letters SET state = 'replayed'`)
	require.NoError(t, err)
	w.do("POST", replay, http.StatusConflict)
	require.Equal(t, "replayed", w.do("GET", fmt.Sprintf("/dead-letters/%d", id), 200)["state"])
}

func TestADiscardedLetterStaysDiscarded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := w.park(0)
	require.Equal(t, "discarded", w.do("POST", fmt.Sprintf("/dead-letters/%d/discard", id), 200)["state"])
	w.do("POST", fmt.Sprintf("/dead-letters/%d/discard", id), http.StatusConflict)
	w.do("POST", fmt.Sprintf("/dead-letters/%d/replay", id), http.StatusConflict)
}

func TestWithoutADatabaseTheOperatorIsToldToComeBack(t *testing.T) {
	t.Parallel()
	w := over(t, "postgres://nobody@127.0.0.1:1/nowhere?sslmode=disable")
	for _, c := range []struct{ method, path string }{
		{"GET", "/dead-letters"}, {"GET", "/dead-letters/1"}, {"POST", "/dead-letters/1/replay"}, {"POST", "/dead-letters/1/discard"},
	} {
		require.NotContains(t, fmt.Sprint(w.do(c.method, c.path, http.StatusServiceUnavailable)), "nowhere")
	}
	require.Contains(t, w.said.String(), "the database is not available")

	w = setup(t)
	_, err := w.db.Exec(t.Context(), `ALTER TABLE dead_letters RENAME TO not_migrated_yet`)
	require.NoError(t, err)
	w.do("GET", "/dead-letters", http.StatusServiceUnavailable)
}

func TestAnUnexpectedErrorTellsNothingButTheLog(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := w.park(1)
	_, err := w.db.Exec(t.Context(), `UPDATE dead_letters SET headers = '1'`)
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprint(w.do("GET", fmt.Sprintf("/dead-letters/%d", id), http.StatusInternalServerError)), "headers")
	require.Contains(t, w.said.String(), `get dead letter 1`)
}
