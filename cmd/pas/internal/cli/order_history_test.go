package cli_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
)

// known is what three services answer about order o-1, whose confirmation was parked once.
func known() map[string]any {
	letters := object{"items": []object{
		{"id": 1, "topic": "payments", "partition": 2, "offset": 7, "key": "o-1", "reason": "contradicts_state", "detail": "no", "state": "replayed", "parked_at": "2026-01-02T03:04:06Z"},
		{"id": 2, "topic": "orders", "partition": 0, "offset": 1, "key": "another", "reason": "not_json", "state": "parked"},
		{"id": 3, "topic": "orders", "partition": 0, "offset": 2, "reason": "not_json", "state": "parked", "parked_at": "2026-01-02T03:04:07Z"},
		{"id": 4, "topic": "orders", "partition": 0, "offset": 3, "reason": "invalid_message", "state": "parked"},
	}}
	whole := func(id int, body string) object {
		return object{"id": id, "topic": "orders", "partition": 0, "offset": id - 1, "value": body, "reason": "not_json", "detail": "cut off", "state": "parked", "parked_at": "2026-01-02T03:04:07Z"}
	}
	return map[string]any{
		"GET /orders/o-1":        anOrder("confirmed", ""),
		"GET /orders/o-1/events": aTimeline("pending", "confirmed"),
		"GET /payments/o-1": object{"order_id": "o-1", "status": "captured", "amount": 49, "currency": "USD", "payment_id": "pay_1",
			"updated_at": "2026-01-02T03:04:05Z"},
		"GET /notifications": object{"items": []object{{"order_id": "o-1", "kind": "confirmed", "to": "ada@example.com",
			"message": "Order o-1 confirmed!", "status": "sent", "sent_at": "2026-01-02T03:04:08Z"}}},
		"GET /dead-letters": letters,
		"GET /dead-letters/1": object{"id": 1, "topic": "payments", "partition": 2, "offset": 7, "key": "o-1", "value": "{}",
			"reason": "contradicts_state", "detail": "no", "state": "replayed", "parked_at": "2026-01-02T03:04:06Z"},
		"GET /dead-letters/3": whole(3, `{"order_id":"o-1","user_id`),
		"GET /dead-letters/4": whole(4, `{"order_id":"o-2","user_id":"ada","total":1}`),
	}
}

func TestOrderHistoryTellsAllInOrder(t *testing.T) {
	t.Parallel()
	environ, _ := services(t, known())
	got := pas(t, environ, "order", "history", "o-1")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Regexp(t, `(?s)^order o-1  confirmed .*payments +payment captured +49 USD  pay_1.*dead letter replayed +1 from payments/2@7, contradicts_state: no`+
		`.*dead letter parked +3 from orders/0@2, not_json: cut off.*notifications +notification sent +confirmed to ada@example.com: Order o-1 confirmed!\n$`, got.stdout)
	require.NotContains(t, got.stdout, "@3")

	got = pas(t, environ, "order", "history", "o-1", "--json")
	var view struct {
		Payment     object   `json:"payment"`
		DeadLetters []object `json:"dead_letters"`
		NoAnswer    []string `json:"no_answer"`
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &view))
	require.Equal(t, "captured", view.Payment["status"])
	require.Len(t, view.DeadLetters, 6, "two letters of each of three services, which all answer the same here")
	require.Empty(t, view.NoAnswer)
}

// Letters of other orders, however many, hide no letter of this one.
func TestOrderHistorySearchesAllDeadLetters(t *testing.T) {
	t.Parallel()
	answers := known()
	letters := []object{}
	for id := 101; id < 1300; id++ {
		letters = append(letters, object{"id": id, "topic": "orders", "partition": 0, "offset": id, "key": "another", "reason": "not_json", "state": "parked"})
	}
	answers["GET /dead-letters"] = object{"items": append(letters, answers["GET /dead-letters"].(object)["items"].([]object)...)}
	environ, _ := services(t, answers)
	got := pas(t, environ, "order", "history", "o-1")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "contradicts_state: no")
	require.NotContains(t, got.stdout, "were not searched")
}

func TestOrderHistoryOfAnUnknownOrderAndOfServicesThatAreAway(t *testing.T) {
	t.Parallel()
	environ, _ := services(t, map[string]any{"GET /notifications": object{"items": []object{}}, "GET /dead-letters": object{"items": []object{}}})
	got := pas(t, environ, "order", "history", "unknown-1")
	require.Equal(t, "no service has order unknown-1", got.oneLine(t))
	require.Equal(t, cli.ExitFailure, got.code)

	environ, _ = services(t, known())
	away := nowhere(t)
	environ["PAS_PAYMENTS_URL"], environ["PAS_PAYMENTS_ADMIN_URL"] = away["PAS_PAYMENTS_URL"], away["PAS_PAYMENTS_ADMIN_URL"]
	got = pas(t, environ, "order", "history", "o-1")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.stdout, "Order o-1 confirmed!")
	require.Regexp(t, `payments +did not answer`, got.stdout)

	got = pas(t, away, "order", "history", "o-1")
	require.Contains(t, got.oneLine(t), "connection refused")
	require.Equal(t, cli.ExitFailure, got.code)
}
