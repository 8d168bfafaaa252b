package httpapi_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

const maxBody = 64 << 10

// lines is an order of n lines, a product each.
func lines(n, quantity int) string {
	var items []string
	for i := range n {
		items = append(items, fmt.Sprintf(`{"sku":"sku-%03d","quantity":%d}`, i, quantity))
	}
	return `{"user_id":"u","items":[` + strings.Join(items, ",") + `]}`
}

// sized is an order of that many bytes.
func sized(n int) string {
	const start, end = `{"user_id":"u","total":1`, `}`
	return start + strings.Repeat(" ", n-len(start)-len(end)) + end
}

// Whatever is refused names what is wrong, and leaves nothing behind: no order, no message, no key.
func TestPlaceRefusesBadOrders(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for name, c := range map[string]struct {
		body     string
		status   int
		mentions string
	}{
		"free":                  {`{"user_id":"u","total":0}`, 422, "body.total"},
		"negative":              {`{"user_id":"u","total":-1}`, 422, "body.total"},
		"negative zero":         {`{"user_id":"u","total":-0.0}`, 422, "body.total"},
		"too precise":           {`{"user_id":"u","total":1.005}`, 422, "body.total"},
		"too precise yen":       {`{"user_id":"u","total":1.5,"currency":"JPY"}`, 422, "body.total"},
		"too much":              {`{"user_id":"u","total":99999999999999999999}`, 422, "body.total"},
		"total as text":         {`{"user_id":"u","total":"1.00"}`, 422, "body.total"},
		"total null":            {`{"user_id":"u","total":null}`, 422, "total"},
		"total beyond float":    {`{"user_id":"u","total":1e400}`, 400, "total"},
		"neither":               {`{"user_id":"u"}`, 422, "body.total"},
		"no items":              {`{"user_id":"u","items":[]}`, 422, "body.total"},
		"no user":               {`{"total":1}`, 422, "user_id"},
		"empty user":            {`{"user_id":"","total":1}`, 422, "body.user_id"},
		"user as a float":       {`{"user_id":7.0,"total":1}`, 422, "body.user_id"},
		"user as a list":        {`{"user_id":["u"],"total":1}`, 422, "body.user_id"},
		"long user":             {`{"user_id":"` + strings.Repeat("u", 129) + `","total":1}`, 422, "body.user_id"},
		"long order id":         {`{"order_id":"` + strings.Repeat("o", 129) + `","user_id":"u","total":1}`, 422, "body.order_id"},
		"control in user":       {`{"user_id":"u\u0000","total":1}`, 422, "body.user_id"},
		"control in order id":   {`{"order_id":"o\n","user_id":"u","total":1}`, 422, "body.order_id"},
		"control in sku":        {`{"user_id":"u","items":[{"sku":"a\u0007","quantity":1}]}`, 422, "body.items[0].sku"},
		"control in email":      {`{"user_id":"u","total":1,"email":"a@b.example\r\nBcc: c@d.example"}`, 422, "body.email"},
		"control in method":     {`{"user_id":"u","total":1,"payment_method":"pm\u001b"}`, 422, "body.payment_method"},
		"no address":            {`{"user_id":"u","total":1,"email":"nobody"}`, 422, "body.email"},
		"unknown field":         {`{"user_id":"u","total":1,"price":1}`, 422, "body.price"},
		"unknown field of line": {`{"user_id":"u","items":[{"sku":"a","quantity":1,"price":1}]}`, 422, "body.items[0].price"},
		"other spelling":        {`{"USER_ID":"u","total":1}`, 422, "USER_ID"},
		"currency":              {`{"user_id":"u","total":1,"currency":"XXQ"}`, 422, "body.currency"},
		"short currency":        {`{"user_id":"u","total":1,"currency":"US"}`, 422, "body.currency"},
		"unknown sku":           {`{"user_id":"u","items":[{"sku":"nothing","quantity":1}]}`, 422, "nothing"},
		"no quantity":           {`{"user_id":"u","items":[{"sku":"a"}]}`, 422, "quantity"},
		"quantity 0":            {lines(1, 0), 422, "body.items[0].quantity"},
		"quantity 1001":         {lines(1, 1001), 422, "body.items[0].quantity"},
		"negative quantity":     {lines(1, -1), 422, "body.items[0].quantity"},
		"half a piece":          {`{"user_id":"u","items":[{"sku":"a","quantity":0.5}]}`, 422, "body.items[0].quantity"},
		"101 lines":             {lines(101, 1), 422, "body.items"},
		"sku twice":             {`{"user_id":"u","items":[{"sku":"a","quantity":1},{"sku":"a","quantity":1}]}`, 422, "body.items[1]"},
		"items no list":         {`{"user_id":"u","items":{"sku":"a","quantity":1}}`, 422, "body.items"},
		"line no object":        {`{"user_id":"u","items":["a"]}`, 422, "body.items[0]"},
		"key twice":             {`{"user_id":"u","user_id":"v","total":1}`, 400, "user_id"},
		"key twice in line":     {`{"user_id":"u","items":[{"sku":"a","sku":"b","quantity":1}]}`, 400, "sku"},
		"half a document":       {`{"user_id":"u"`, 400, "JSON"},
		"two documents":         {order + order, 400, "JSON"},
		"invalid UTF-8":         {`{"user_id":"` + "\xff" + `","total":1}`, 400, "UTF-8"},
		"list":                  {`[]`, 422, "body"},
		"null":                  {`null`, 422, "body"},
		"no body":               {``, 400, "body"},
		"one byte over 64 KiB":  {sized(maxBody + 1), 413, "65536"},
		"200 kB":                {sized(200_000), 413, "65536"},
		"200 kB of nonsense":    {strings.Repeat("x", 200_000), 413, "65536"},
	} {
		t.Run(name, func(t *testing.T) {
			requireProblem(t, s.do(t, "POST", "/orders", c.body, "Idempotency-Key", "k"), c.status, c.mentions)
		})
	}
	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "application/jsonx"} {
		requireProblem(t, s.do(t, "POST", "/orders", order, "Content-Type", contentType), 415, "json")
	}
	require.Equal(t, "0 orders, 0 messages, 0 keys", s.stored(t))
}

func TestPlaceTakesWhatIsJustAllowed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, err := s.db.Exec(t.Context(), `INSERT INTO inventory (sku, name, price_minor, currency, available, reserved, sold, stocked)
		SELECT 'sku-' || to_char(n, 'FM000'), 'Product', 1, 'USD', 0, 0, 0, 0 FROM generate_series(0, 99) n`)
	require.NoError(t, err)
	for name, body := range map[string]string{
		"64 KiB":        sized(maxBody),
		"100 lines":     lines(100, 1000),
		"longest ids":   `{"order_id":"` + strings.Repeat("o", 128) + `","user_id":"` + strings.Repeat("u", 128) + `","total":0.01}`,
		"exact decimal": `{"user_id":"u","total":1.50e1}`,
	} {
		a := s.do(t, "POST", "/orders", body)
		require.Equal(t, 202, a.status, "%s: %s", name, a.body)
	}
	require.Contains(t, s.do(t, "POST", "/orders", lines(100, 1000)).body, `"total":1000.00,`)
}

// A client that closes its connection in the middle of an order has not placed it.
func TestAnOrderThatBreaksOffIsNotPlaced(t *testing.T) {
	t.Parallel()
	s := setup(t)
	site, err := url.Parse(s.publicURL)
	require.NoError(t, err)
	for _, head := range []string{"Content-Length: 1000\r\n\r\n" + order, "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n", len(order), order)} {
		conn, err := net.Dial("tcp", site.Host)
		require.NoError(t, err)
		_, err = conn.Write([]byte("POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n" + head))
		require.NoError(t, err)
		testkit.Eventually(t, func() error {
			if s.inFlight.Load() != 1 {
				return errors.New("it has not arrived")
			}
			return nil
		})
		require.NoError(t, conn.Close())
		s.idle(t)
	}
	require.Equal(t, "0 orders, 0 messages, 0 keys", s.stored(t))
	require.Equal(t, 202, s.do(t, "POST", "/orders", order, "Idempotency-Key", "k").status)
}

// What Postgres does not take as text is no id of anything: the client's mistake, never ours.
func TestWhatIsNoIDIsNotFound(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, id := range []string{"nobody", "%00", "%ff", strings.Repeat("o", 5000)} {
		for _, path := range []string{"/orders/" + id, "/orders/" + id + "/events", "/inventory/" + id} {
			requireProblem(t, s.do(t, "GET", path, ""), 404, "")
		}
		requireProblem(t, s.do(t, "POST", "/orders/"+id+"/cancel", ""), 404, "")
	}
	requireProblem(t, s.do(t, "GET", "/nothing", ""), 404, "/nothing")
}

func TestOtherMethodsAreToldWhatIsAllowed(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for path, allowed := range map[string]string{"/orders": "GET, HEAD, POST", "/orders/o": "GET, HEAD", "/orders/o/events": "GET, HEAD",
		"/orders/o/cancel": "POST", "/inventory": "GET, HEAD", "/inventory/tutu": "GET, HEAD"} {
		for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS"} {
			a := s.do(t, method, path, "")
			requireProblem(t, a, http.StatusMethodNotAllowed, method)
			require.Equal(t, allowed, a.header.Get("Allow"))
		}
	}
	require.Equal(t, "PUT", s.admin(t, "DELETE", "/inventory/tutu", "").header.Get("Allow"))
	require.Equal(t, "POST", s.admin(t, "GET", "/inventory/tutu/restock", "").header.Get("Allow"))
}
