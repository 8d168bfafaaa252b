package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
)

const at = "2026-01-02T03:04:05.000Z"

func anOrder(status, reason string) object {
	return object{"order_id": "o-1", "user_id": "ada", "status": status, "reason": reason, "total": 49.00, "currency": "USD",
		"items": []object{{"sku": "feather", "quantity": 2, "unit_price": 24.50}}}
}

func aTimeline(statuses ...string) object {
	items, from := []object{}, ""
	for i, to := range statuses {
		items = append(items, object{"number": i + 1, "event": "step", "from": from, "to": to, "at": at})
		from = to
	}
	return object{"items": items}
}

func TestOrderShowsTheOrderAndItsTimeline(t *testing.T) {
	t.Parallel()
	environ, _ := services(t, map[string]any{
		"POST /orders":           anOrder("confirmed", ""),
		"GET /orders/o-1/events": aTimeline("pending", "awaiting_payment", "confirmed"),
	})
	got := pas(t, environ, "order", "--user", "ada", "--item", "feather=2", "--wait")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Equal(t, `order o-1  confirmed  49 USD  user ada
  2 x feather at 24.5 USD
      +0 ms  step                   pending
      +0 ms  step                   awaiting_payment
      +0 ms  step                   confirmed
`, got.stdout)
}

func TestOrderWithJSONIsOneDocument(t *testing.T) {
	t.Parallel()
	environ, _ := services(t, map[string]any{"POST /orders": anOrder("pending", ""), "GET /orders/o-1/events": aTimeline("pending")})
	got := pas(t, environ, "order", "--user", "ada", "--total", "49", "--json")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	var view struct {
		Order    object   `json:"order"`
		Timeline []object `json:"timeline"`
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &view))
	require.Equal(t, "o-1", view.Order["order_id"])
	require.Len(t, view.Timeline, 1)
}

func TestAnOrderThatCanNoLongerBeWaitedForIsNamed(t *testing.T) {
	t.Parallel()
	environ, _ := services(t, map[string]any{"POST /orders": anOrder("pending", ""),
		"GET /orders/o-1": problem{Status: 503, Title: "Service Unavailable", Detail: "the database does not answer"}})
	got := pas(t, environ, "order", "--user", "ada", "--total", "49", "--wait=5s")
	require.Equal(t, "order o-1 was placed, but: orders answered 503: the database does not answer; try again in a few seconds", got.oneLine(t))
	require.Equal(t, cli.ExitFailure, got.code)
}

// An address with another program behind it says nothing about an order.
func TestAWrongAddressIsNoMissingOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, arguments string }{
		{"GET /orders/o-1", "show o-1"},
		{"POST /orders/o-1/cancel", "cancel o-1"},
		{"GET /inventory/x", "inventory x"},
		{"GET /dead-letters/3", "dead-letters show 3 --service orders"},
	} {
		_, path, _ := strings.Cut(c.path, " ")
		environ, _ := services(t, map[string]any{c.path: problem{Status: 404, Title: "Not Found", Detail: "there is nothing at " + path}})
		got := pas(t, environ, strings.Fields(c.arguments)...)
		require.Equal(t, "orders answered 404: there is nothing at "+path+"; check that PAS_ORDERS_URL and PAS_ORDERS_ADMIN_URL say where orders is", got.oneLine(t))
		require.Equal(t, cli.ExitFailure, got.code)
	}
}

func TestOrderThatIsWaitedForAndNotConfirmedExitsOne(t *testing.T) {
	t.Parallel()
	environ, _ := services(t, map[string]any{"POST /orders": anOrder("rejected", "out_of_stock"), "GET /orders/o-1/events": aTimeline("pending", "rejected")})
	got := pas(t, environ, "order", "--user", "ada", "--item", "feather", "--wait=1s")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Equal(t, "pas: order o-1 ended rejected (out_of_stock), not confirmed\n", got.stderr)
	require.Contains(t, got.stdout, "reason out_of_stock")
}

func TestOrderThatDoesNotSettleInTimeExitsOne(t *testing.T) {
	t.Parallel()
	environ, asked := services(t, map[string]any{"POST /orders": anOrder("pending", ""), "GET /orders/o-1": anOrder("pending", ""),
		"GET /orders/o-1/events": aTimeline("pending")})
	got := pas(t, environ, "order", "--user", "ada", "--total", "49", "--wait=50ms")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Equal(t, "pas: order o-1 is still pending after 50ms; look again with `pas show o-1 --wait`\n", got.stderr)
	require.Positive(t, asked("GET /orders/o-1"))
}

func TestARefusedOrderSaysWhichField(t *testing.T) {
	t.Parallel()
	environ, _ := services(t, map[string]any{"POST /orders": problem{Status: 422, Title: "Unprocessable Entity", Detail: "validation failed",
		Errors: []any{object{"location": "body.items[0].sku", "message": "unknown sku: fether"}}}})
	got := pas(t, environ, "order", "--user", "ada", "--item", "fether")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Equal(t, "orders answered 422: validation failed (body.items[0].sku: unknown sku: fether); see `pas inventory` for what there is", got.oneLine(t))
}

func TestAnUnknownOrderIsToldApartFromAServiceThatIsNotThere(t *testing.T) {
	t.Parallel()
	environ, _ := services(t, nil)
	for _, command := range []string{"show", "cancel"} {
		got := pas(t, environ, command, "o-9")
		require.Equal(t, cli.ExitFailure, got.code)
		require.Equal(t, "there is no order \"o-9\"; check the id; an order that came over Kafka may be among `pas dead-letters list`", got.oneLine(t))
	}
	got := pas(t, environ, "inventory", "x")
	require.Equal(t, "there is no product \"x\"; see `pas inventory`, or create it with `pas inventory put x`", got.oneLine(t))
	got = pas(t, environ, "dead-letters", "show", "7", "--service", "payments")
	require.Equal(t, "payments has no dead letter 7; see `pas dead-letters list --service payments --state all`", got.oneLine(t))
}

func TestAServiceThatIsBusyIsToTryAgain(t *testing.T) {
	t.Parallel()
	environ, _ := services(t, map[string]any{"POST /orders": problem{Status: 503, Title: "Service Unavailable", Detail: "the database does not answer"}})
	got := pas(t, environ, "order", "--user", "ada", "--total", "1")
	require.Equal(t, "orders answered 503: the database does not answer; try again in a few seconds", got.oneLine(t))
}

func TestInventoryIsATable(t *testing.T) {
	t.Parallel()
	environ, _ := services(t, map[string]any{"GET /inventory": object{"items": []object{
		{"sku": "feather", "name": "Swan feather", "price": 24.5, "currency": "USD", "available": 8, "reserved": 1, "sold": 2, "stocked": 11}}}})
	got := pas(t, environ, "inventory")
	require.Equal(t, `SKU      NAME             PRICE  AVAILABLE  RESERVED  SOLD  STOCKED
feather  Swan feather  24.5 USD          8         1     2       11
`, got.stdout)
	require.Contains(t, pas(t, environ, "inventory", "--color", "always").stdout, "\x1b[1m")
}

func TestDeadLettersNeverReachTheTerminalRaw(t *testing.T) {
	t.Parallel()
	evil := "\x1b]0;owned\x07\r\n"
	letter := object{"id": 3, "topic": "orders", "partition": 1, "offset": 9, "key": evil, "value": evil, "reason": "not_json",
		"detail": evil, "state": "parked", "time": at, "parked_at": at, "headers": []object{{"key": evil, "value": evil}}}
	environ, _ := services(t, map[string]any{"GET /dead-letters": object{"items": []object{letter}}, "GET /dead-letters/3": letter})
	for _, arguments := range [][]string{{"list"}, {"show", "3", "--service", "orders"}} {
		got := pas(t, environ, append([]string{"dead-letters"}, arguments...)...)
		require.Equal(t, cli.ExitOK, got.code, got.stderr)
		require.NotContains(t, got.stdout, "\x1b")
		require.NotContains(t, got.stdout, "\r")
		require.Contains(t, got.stdout, `\x1b]0;owned\a`)
	}
}

func TestDeadLettersListAsksAllThreeServices(t *testing.T) {
	t.Parallel()
	environ, asked := services(t, map[string]any{"GET /dead-letters": object{"items": []object{}}})
	got := pas(t, environ, "dead-letters", "list")
	require.Equal(t, "No parked messages.\n", got.stdout)
	require.Equal(t, 3, asked("GET /dead-letters"))
	require.JSONEq(t, `{"items": []}`, pas(t, environ, "dead-letters", "list", "--json").stdout)
}

func TestReplayThatIsParkedAgainExitsOne(t *testing.T) {
	t.Parallel()
	letter := func(state string) object {
		return object{"id": 3, "state": state, "reason": "total_mismatch", "detail": "stated 1, they cost 2", "time": at, "parked_at": at}
	}
	environ, _ := services(t, map[string]any{"POST /dead-letters/3/replay": letter("replaying"), "GET /dead-letters/3": letter("parked")})
	got := pas(t, environ, "dead-letters", "replay", "3", "--service", "orders")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Equal(t, "dead letter 3 failed again: total_mismatch (stated 1, they cost 2); repair the cause first, or discard it", got.oneLine(t))

	environ, _ = services(t, map[string]any{"POST /dead-letters/3/replay": letter("replaying"), "GET /dead-letters/3": letter("replayed")})
	got = pas(t, environ, "dead-letters", "replay", "3", "--service", "orders")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Equal(t, "dead letter 3 of orders: replayed\n", got.stdout)
}

func TestDemoListsItsScenariosWithoutStartingAnything(t *testing.T) {
	t.Parallel()
	got := pas(t, nil, "demo", "--list", "--json")
	require.Equal(t, cli.ExitOK, got.code)
	var list struct {
		Items []struct{ Name, Title string }
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &list))
	require.GreaterOrEqual(t, len(list.Items), 12)

	got = pas(t, nil, "demo", "--only", "nothing")
	require.Equal(t, cli.ExitUsage, got.code)
	require.Contains(t, got.oneLine(t), `--only: no scenario is called "nothing": there are confirmed, `)
}
