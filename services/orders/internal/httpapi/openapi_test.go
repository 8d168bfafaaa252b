package httpapi_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/testkit"
)

// answers are the statuses of each operation, such as "GET /orders".
type answers map[string][]string

func (a answers) add(operation, status string) {
	if !slices.Contains(a[operation], status) {
		a[operation] = append(a[operation], status)
		slices.Sort(a[operation])
	}
}

// documented is what an API's document says about itself. Only a bug is answered 500: it is left out.
func documented(t *testing.T, document *answer) answers {
	t.Helper()
	require.Equal(t, 200, document.status)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Responses map[string]struct{ Content map[string]any }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(document.body), &doc))
	require.True(t, strings.HasPrefix(doc.OpenAPI, "3.1."), doc.OpenAPI)
	all := make(answers)
	for path, operations := range doc.Paths {
		for method, operation := range operations {
			for status, response := range operation.Responses {
				if status >= "400" {
					require.Contains(t, response.Content, "application/problem+json", "%s %s %s", method, path, status)
				}
				if status != "500" {
					all.add(strings.ToUpper(method)+" "+path, status)
				}
			}
		}
	}
	return all
}

// The documents name every operation, and with each exactly the statuses that it gives.
func TestTheDocumentsSayWhatIsAnswered(t *testing.T) {
	t.Parallel()
	s := over(t, testkit.Database(t, migrations.Up).Pool(t, "orders"), unhurried)
	away := over(t, pool(t, "postgres://orders:orders@127.0.0.1:1/none"))
	public, admin := make(answers), make(answers)
	play := func(s *site, operation, path, body string, header ...string) {
		method, template, _ := strings.Cut(operation, " ")
		if path == "" {
			path = template
		}
		if strings.HasPrefix(template, "/inventory") && method != "GET" || strings.HasSuffix(template, "/republish") {
			admin.add(operation, strconv.Itoa(s.admin(t, method, path, body, header...).status))
			return
		}
		public.add(operation, strconv.Itoa(s.do(t, method, path, body, header...).status))
	}
	const text, large = "text/plain", 70_000
	again := []string{"Idempotency-Key", "k"}
	stream := []string{"Accept", "text/event-stream"}

	const place = "POST /orders"
	play(s, place, "", order)
	play(s, place, "", order) // 200
	play(s, place, "", `{"order_id":"o","user_id":"u","total":2}`)
	play(s, place, "", `{`)
	play(s, place, "", order, "Content-Type", text)
	play(s, place, "", sized(large))
	play(s, place, "", `{"user_id":"u"}`)
	play(away, place, "", order, again...)

	const get = "GET /orders/{id}"
	play(s, get, "/orders/o", "")
	play(s, get, "/orders/o", "", "If-None-Match", "*")
	play(s, get, "/orders/o?wait=x", "")
	play(s, get, "/orders/x", "")
	play(away, get, "/orders/o", "")

	const list = "GET /orders"
	play(s, list, "", "")
	play(s, list, "/orders?limit=0", "")
	play(away, list, "", "")

	const cancel = "POST /orders/{id}/cancel"
	deliver(t, s.OnOrderPlaced, placed())
	play(s, cancel, "/orders/o/cancel", "") // 202
	second := s.do(t, "POST", "/orders", `{"order_id":"p","user_id":"u","total":1}`)
	require.Equal(t, 202, second.status)
	play(s, cancel, "/orders/p/cancel", "") // 200
	play(s, cancel, "/orders/p/cancel", "{")
	play(s, cancel, "/orders/p/cancel", "x", "Content-Type", text)
	play(s, cancel, "/orders/p/cancel", sized(large))
	require.Equal(t, 201, s.admin(t, "PUT", "/inventory/none", `{"name":"None","price":1}`).status)
	require.Equal(t, 202, s.do(t, "POST", "/orders", `{"order_id":"r","user_id":"u","items":[{"sku":"none","quantity":1}]}`).status)
	rejected := placed()
	rejected.OrderID, rejected.HasTotal, rejected.Total.Minor, rejected.Items = "r", false, 0, oneOf("none")
	deliver(t, s.OnOrderPlaced, rejected)
	play(s, cancel, "/orders/r/cancel", "") // 409
	play(s, cancel, "/orders/x/cancel", "")
	play(away, cancel, "/orders/o/cancel", "")

	const events = "GET /orders/{id}/events"
	play(s, events, "/orders/o/events", "")
	play(s, events, "/orders/p/events", "", append(stream, "Last-Event-ID", "2")...) // 204
	play(s, events, "/orders/p/events", "", append(stream, "Last-Event-ID", "3")...)
	play(s, events, "/orders/x/events", "")
	play(s, events, "/orders/o/events", "", "Accept", "image/png")
	play(away, events, "/orders/o/events", "")

	play(s, "GET /inventory", "", "")
	play(away, "GET /inventory", "", "")
	play(s, "GET /inventory/{sku}", "/inventory/none", "")
	play(s, "GET /inventory/{sku}", "/inventory/x", "")
	play(away, "GET /inventory/{sku}", "/inventory/none", "")

	require.Equal(t, 201, s.admin(t, "PUT", "/inventory/tutu", `{"name":"Tutu","price":1}`).status)
	for _, c := range [][3]string{{"POST /inventory/{sku}/restock", "/inventory/tutu/restock", `{"quantity":1}`},
		{"PUT /inventory/{sku}", "/inventory/tutu", `{"name":"Tutu","price":1}`}} {
		operation, path, body := c[0], c[1], c[2]
		play(s, operation, path, body)
		play(s, operation, strings.Replace(path, "tutu", "new", 1), body) // 404, 201
		play(s, operation, strings.Replace(path, "tutu", "a%20b", 1), body)
		play(s, operation, path, sized(large))
		play(s, operation, path, body, "Content-Type", text)
		play(s, operation, path, `{}`)
		play(away, operation, path, body)
	}

	busy, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	_, err = busy.Exec(t.Context(), `SELECT pg_advisory_xact_lock(hashtextextended('pasdetrois.orders.key:busy', 0))`)
	require.NoError(t, err)
	play(s, "POST /inventory/{sku}/restock", "/inventory/tutu/restock", `{"quantity":1}`, "Idempotency-Key", "busy") // 409
	require.NoError(t, busy.Rollback(t.Context()))

	for operation, path := range map[string]string{"POST /orders/{id}/republish": "/orders/o/republish",
		"POST /orders/republish": "/orders/republish?placed_from=2026-01-01T00:00:00Z"} {
		play(s, operation, path, "")
		play(s, operation, path, "{")
		play(s, operation, path, "x", "Content-Type", text)
		play(s, operation, path, sized(large))
		play(away, operation, path, "")
	}
	play(s, "POST /orders/{id}/republish", "/orders/x/republish", "")
	play(s, "POST /orders/republish", "", "") // without placed_from

	// The tests of RATE_ORDERS, RATE_STREAMS and RATE_WAITS, in the root package, get the 429.
	for _, operation := range []string{place, get, "GET /orders/{id}/events"} {
		public.add(operation, "429")
	}

	require.Equal(t, documented(t, s.do(t, "GET", "/openapi.json", "")), public)
	require.Equal(t, documented(t, s.admin(t, "GET", "/openapi.json", "")), admin)
}
