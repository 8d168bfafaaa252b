package httpapi_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlaceRefusesBadOrders(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for name, c := range map[string]struct {
		body     string
		status   int
		mentions string
	}{
		"free":               {`{"user_id":"u","total":0}`, 422, "total"},
		"negative":           {`{"user_id":"u","total":-1}`, 422, "total"},
		"too precise":        {`{"user_id":"u","total":1.005}`, 422, "body.total"},
		"total as text":      {`{"user_id":"u","total":"1.00"}`, 422, "total"},
		"total null":         {`{"user_id":"u","total":null}`, 422, "total"},
		"total beyond float": {`{"user_id":"u","total":1e400}`, 400, "total"},
		"neither":            {`{"user_id":"u"}`, 422, "body.total"},
		"no user":            {`{"total":1}`, 422, "user_id"},
		"control character":  {`{"user_id":"u\u0000","total":1}`, 422, "body.user_id"},
		"unknown field":      {`{"user_id":"u","total":1,"price":1}`, 422, "price"},
		"currency":           {`{"user_id":"u","total":1,"currency":"XXQ"}`, 422, "XXQ"},
		"unknown sku":        {`{"user_id":"u","items":[{"sku":"nothing","quantity":1}]}`, 422, "nothing"},
		"no pieces":          {`{"user_id":"u","items":[{"sku":"nothing","quantity":0}]}`, 422, "items[0].quantity"},
		"sku twice":          {`{"user_id":"u","items":[{"sku":"a","quantity":1},{"sku":"a","quantity":1}]}`, 422, "items[1]"},
		"key twice":          {`{"user_id":"u","user_id":"v","total":1}`, 400, "user_id"},
		"no json":            {`{`, 400, "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireProblem(t, s.do(t, "POST", "/orders", c.body), c.status, c.mentions)
		})
	}
	requireProblem(t, s.do(t, "POST", "/orders", `{"user_id":"u","total":1}`, "Content-Type", "text/plain"), 415, "json")
}

// What Postgres does not take as text is no id of anything: the client's mistake, never ours.
func TestUnstorableText(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, id := range []string{"nobody", "%00", "%ff"} {
		for _, path := range []string{"/orders/" + id, "/orders/" + id + "/events", "/inventory/" + id} {
			requireProblem(t, s.do(t, "GET", path, ""), 404, "")
		}
		requireProblem(t, s.do(t, "POST", "/orders/"+id+"/cancel", ""), 404, "")
	}
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.Equal(t, 201, s.admin(t, "PUT", "/inventory/tutu", `{"name":"Tutu","price":19.90}`).status)
	require.Equal(t, 200, s.admin(t, "POST", "/inventory/tutu/restock", `{"quantity":3}`).status)
	w := s.do(t, "GET", "/inventory/tutu", "")
	require.Equal(t, 200, w.status, w.body)
	require.Contains(t, w.body, `"price":19.90,"currency":"USD","available":3,"reserved":0,"sold":0,"stocked":3`)
	for i, price := range []string{"0", "-1", "1.999", `"1"`, "null"} {
		w := s.admin(t, "PUT", fmt.Sprintf("/inventory/bad-%d", i), `{"name":"Bad","price":`+price+`}`)
		requireProblem(t, w, 422, "price")
	}
	requireProblem(t, s.admin(t, "PUT", "/inventory/nul", `{"name":"a\u0000","price":1}`), 422, "name")
	requireProblem(t, s.admin(t, "POST", "/inventory/none/restock", `{"quantity":1}`), 404, "")
	requireProblem(t, s.admin(t, "POST", "/inventory/tutu/restock", `{"quantity":0}`), 422, "quantity")
}
