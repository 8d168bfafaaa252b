package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/auth/authtest"
	"pasdetrois/pkg/platform/testkit"
)

// caller is a column of the table below.
type caller int

const (
	nobody  caller = iota // without a token
	ada                   // a user
	bob                   // another user
	support               // reads everybody's
	admin                 // does everything
	callers
)

func (c caller) String() string { return [...]string{"nobody", "ada", "bob", "support", "admin"}[c] }

// cells are the outcomes for each caller: the status, and the users whose rows the answer shows.
type cells [callers]string

// called is a row of the table: requests for one operation.
type called struct {
	service, operation string // as in the service's document
	target             string // its address; * is replaced by the caller's name
	body               string
	header             []string // name and value
	want               cells
}

const (
	stream    = "text/event-stream"
	closed    = "401"
	forbidden = "403"
	none      = "404"
	shut      = "409"
)

var (
	all    = cells{closed, "200 ada", "200 bob", "200 ada bob", "200 ada bob"}
	ofAda  = cells{closed, "200 ada", none, "200 ada", "200 ada"}
	ofAda0 = cells{closed, "200 ada", "200", "200 ada", "200 ada"} // a list
	plain  = cells{closed, "200", none, "200", "200"}              // without users in the answer
	every  = cells{closed, "200", "200", "200", "200"}             // anybody with a scope
)

// table says what each operation answers to each caller. "hers" and "hers-ada" and so on are orders of ada, "his" is one of bob.
var table = []called{
	{"orders", "GET /orders", "/orders", "", nil, all},
	{"orders", "GET /orders", "/orders?status=confirmed", "", nil, all},
	{"orders", "GET /orders", "/orders?user_id=ada", "", nil, ofAda0},
	{"orders", "GET /orders", "/orders?user_id=ada&status=confirmed", "", nil, ofAda0},
	{"orders", "GET /orders/{id}", "/orders/hers", "", nil, ofAda},
	{"orders", "GET /orders/{id}", "/orders/hers?wait=30s", "", nil, ofAda},
	{"orders", "GET /orders/{id}", "/orders/HERS", "", nil, cells{closed, none, none, none, none}},
	{"orders", "GET /orders/{id}", "/orders/hers", "", []string{"If-None-Match", "*"}, cells{closed, "304", none, "304", "304"}},
	{"orders", "GET /orders/{id}/events", "/orders/hers/events", "", nil, plain},
	{"orders", "GET /orders/{id}/events", "/orders/hers/events", "", []string{"Accept", stream}, plain},
	{"orders", "GET /orders/{id}/events", "/orders/hers/events", "", []string{"Accept", stream, "Last-Event-ID", "1"}, plain},
	{"orders", "GET /inventory", "/inventory", "", nil, every},
	{"orders", "GET /inventory/{sku}", "/inventory/record-brush", "", nil, every},
	{"payments", "GET /payments", "/payments", "", nil, all},
	{"payments", "GET /payments", "/payments?user_id=ada", "", nil, ofAda0},
	{"payments", "GET /payments/{order_id}", "/payments/hers", "", nil, ofAda},
	{"notifications", "GET /notifications", "/notifications", "", nil, all},
	{"notifications", "GET /notifications", "/notifications?user_id=ada", "", nil, ofAda0},
	{"notifications", "GET /notifications", "/notifications?order_id=hers", "", nil, ofAda0},
	// These make rows, so they come after the lists.
	{"orders", "POST /orders", "/orders", `{"total":1}`, nil, cells{closed, "202 ada", "202 bob", forbidden, "202 admin"}},
	{"orders", "POST /orders", "/orders", `{"user_id":"ada","total":1}`, nil, cells{closed, "202 ada", forbidden, forbidden, "202 ada"}},
	{"orders", "POST /orders", "/orders", `{"order_id":"hers","total":1}`, nil, cells{closed, "200 ada", shut, forbidden, shut}},
	{"orders", "POST /orders", "/orders", `{"order_id":"key-*","total":1}`, []string{"Idempotency-Key", "same"},
		cells{closed, "202 ada", "202 bob", forbidden, "202 admin"}},
	{"orders", "POST /orders/{id}/cancel", "/orders/hers-*/cancel", "", nil, cells{closed, "202 ada", none, forbidden, "202 ada"}},
}

// Each operation of the public APIs, for each kind of caller, with tokens of a real login server.
func TestEachOperationAnswersEachCallerItsOwn(t *testing.T) {
	t.Parallel()
	w := withLogins(t)
	w.seed()
	covered := make(map[string]bool)
	for _, row := range table {
		covered[row.service+" "+row.operation] = true
		method, _, _ := strings.Cut(row.operation, " ")
		t.Run(method+" "+row.target+" "+strings.Join(row.header, " "), func(t *testing.T) {
			var got cells
			for c := range callers {
				target, body := strings.ReplaceAll(row.target, "*", c.String()), strings.ReplaceAll(row.body, "*", c.String())
				got[c] = w.outcome(c, row.service, method, target, body, row.header...)
			}
			require.Equal(t, row.want, got, "nobody, ada, bob, support, admin")
			if method == http.MethodGet { // HEAD says no more than GET
				for c := range callers {
					head := w.outcome(c, row.service, http.MethodHead, row.target, "", row.header...)
					require.Equal(t, row.want[c][:3], head, c.String())
				}
			}
		})
	}
	for _, service := range messages.Services() {
		for _, operation := range w.documented(service) {
			require.True(t, covered[service+" "+operation], "the table has no row for %s of %s", operation, service)
			delete(covered, service+" "+operation)
		}
	}
	require.Empty(t, covered, "no document has these operations")
}

// guarded is a stack whose callers log in.
type guarded struct {
	t      *testing.T
	stack  *stack.Stack
	tokens [callers]string
	client *http.Client
}

func withLogins(t *testing.T) *guarded {
	t.Helper()
	login := authtest.Start(t)
	own := []auth.Scope{auth.Write, auth.Read}
	return &guarded{t: t, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, tokens: [callers]string{ada: login.Token("ada", own...), bob: login.Token("bob", own...),
		support: login.Token("support", auth.ReadAll), admin: login.Token("admin", auth.Admin)},
		stack: start(t, func(c *stack.Config) {
			c.Environ = map[string]string{"AUTH": string(auth.OIDC), "OIDC_ISSUER": login.URL, "OIDC_AUDIENCE": authtest.Audience}
		})}
}

// send sends a request of a caller, and returns the status and the body of the answer.
func (w *guarded) send(c caller, service, method, target, body string, header ...string) (status int, text string, err error) {
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.stack.Client().Endpoint(service).Public+target, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if w.tokens[c] != "" {
		r.Header.Set("Authorization", "Bearer "+w.tokens[c])
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := w.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(all), err
}

// outcome is an answer as a cell shows it.
func (w *guarded) outcome(c caller, service, method, target, body string, header ...string) string {
	status, text, err := w.send(c, service, method, target, body, header...)
	if err != nil {
		return err.Error()
	}
	if status >= http.StatusBadRequest {
		return strconv.Itoa(status)
	}
	return strings.Join(append([]string{strconv.Itoa(status)}, users(text)...), " ")
}

// users returns the user of a JSON object, or the users of its items, sorted.
func users(text string) (names []string) {
	type row struct {
		UserID string `json:"user_id"`
	}
	var body struct {
		row
		Items []row
	}
	if json.Unmarshal([]byte(text), &body) != nil {
		return nil
	}
	for _, r := range append(body.Items, body.row) {
		if r.UserID != "" {
			names = append(names, r.UserID)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// seed lets ada and bob have confirmed orders, with payments and notifications.
func (w *guarded) seed() {
	w.t.Helper()
	orders := map[string]caller{"hers": ada, "his": bob}
	for c := range callers {
		orders["hers-"+c.String()] = ada
	}
	var placing sync.WaitGroup
	for id, owner := range orders {
		placing.Go(func() {
			status, text, err := w.send(owner, "orders", "POST", "/orders?wait=30s", fmt.Sprintf(`{"order_id":%q,"total":1}`, id))
			if err != nil || status != http.StatusOK || !strings.Contains(text, `"confirmed"`) {
				w.t.Error(id, status, text, err)
			}
		})
	}
	placing.Wait()
	for id, owner := range map[string]caller{"hers": ada, "his": bob} {
		testkit.Eventually(w.t, func() error {
			_, text, err := w.send(owner, "notifications", "GET", "/notifications?order_id="+id, "")
			if err == nil && len(users(text)) == 0 {
				err = errors.New("no notification of order " + id)
			}
			return err
		})
	}
}

// documented are the operations of a service's document.
func (w *guarded) documented(service string) (operations []string) {
	w.t.Helper()
	status, text, err := w.send(nobody, service, "GET", "/openapi.json", "")
	require.NoError(w.t, err)
	require.Equal(w.t, http.StatusOK, status)
	var document struct {
		Paths map[string]map[string]any
	}
	require.NoError(w.t, json.Unmarshal([]byte(text), &document))
	for path, methods := range document.Paths {
		for method := range methods {
			operations = append(operations, strings.ToUpper(method)+" "+path)
		}
	}
	require.NotEmpty(w.t, operations)
	return operations
}
