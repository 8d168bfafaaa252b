package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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
	for _, quantity := range []string{"0", "-1", "1.5", "1000000001", `"1"`} {
		requireProblem(t, s.admin(t, "POST", "/inventory/tutu/restock", `{"quantity":`+quantity+`}`), 422, "body.quantity")
	}
	for _, sku := range []string{"a%20b", "%00", "%ff", strings.Repeat("s", 65)} {
		requireProblem(t, s.admin(t, "PUT", "/inventory/"+sku, `{"name":"Bad","price":1}`), 400, "path.sku")
		requireProblem(t, s.admin(t, "POST", "/inventory/"+sku+"/restock", `{"quantity":1}`), 400, "path.sku")
	}
}
