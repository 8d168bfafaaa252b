package httpx

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// The bounds of Limit, and what it is when it is not given.
const (
	maxLimit     = 500
	defaultLimit = 50
)

// Register is huma.Register for an operation whose handler checks its parameters: what is wrong with the address or a
// header is answered 400, see BadParam. 422 is for bodies, so an operation without one does not document it.
func Register[I, O any](api huma.API, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	op.SkipValidateParams = true
	op.Responses = maps.Clone(op.Responses)
	if op.Responses == nil {
		op.Responses = make(map[string]*huma.Response)
	}
	documented := slices.Contains(op.Errors, http.StatusUnprocessableEntity)
	huma.Register(api, op, handler) // which fills in the responses
	if !documented {
		delete(op.Responses, strconv.Itoa(http.StatusUnprocessableEntity))
	}
}

// BadParam is the 400 problem that names a parameter, such as query.limit, and says what it must be.
func BadParam(location, must string) error {
	return huma.Error400BadRequest("a parameter of the request is wrong", &huma.ErrorDetail{Location: location, Message: must})
}

// Limit is the query parameter ?limit= of a list: how many items one page has at most.
type Limit string

// Schema implements huma.SchemaProvider.
func (Limit) Schema(huma.Registry) *huma.Schema {
	least, most := 1.0, float64(maxLimit)
	return &huma.Schema{Type: huma.TypeInteger, Minimum: &least, Maximum: &most, Default: defaultLimit}
}

// Number returns the limit, or BadParam.
func (l Limit) Number() (int, error) {
	if l == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(string(l))
	if err != nil || n < 1 || n > maxLimit {
		return 0, BadParam("query.limit", "must be a number from 1 to "+strconv.Itoa(maxLimit))
	}
	return n, nil
}
