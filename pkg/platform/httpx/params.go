package httpx

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// wrongParam is the detail of every answer to a request whose address or headers break a rule.
const wrongParam = "a parameter of the request is wrong"

// Register is huma.Register with one status for one mistake, on every port: a request whose address or headers break a rule
// is answered 400. 422 is for bodies, so an operation that does not list 422 in op.Errors does not document it. op itself is
// not changed.
func Register[I, O any](api huma.API, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	op.Responses = maps.Clone(op.Responses)
	if op.Responses == nil {
		op.Responses = make(map[string]*huma.Response)
	}
	documented := slices.Contains(op.Errors, http.StatusUnprocessableEntity)
	huma.Register(api, op, handler) // adds its own responses to the map
	if !documented {
		delete(op.Responses, strconv.Itoa(http.StatusUnprocessableEntity))
	}
	if item := api.OpenAPI().Paths[op.Path]; item != nil {
		takesNull(api.OpenAPI().Components.Schemas, item.Post, item.Put)
	}
}

// isOfBody reports whether a broken rule is one of the body. An error without a location counts as one.
func isOfBody(err error) bool {
	var detail huma.ErrorDetailer
	return !errors.As(err, &detail) || !slices.ContainsFunc([]string{"query.", "header.", "path."}, func(place string) bool {
		return strings.HasPrefix(detail.ErrorDetail().Location, place)
	})
}

// takesNull adds null to the types of a body's optional fields in the document. huma's validation and encoding/json take null
// for an absent field, and so does the contract on Kafka. The document would otherwise reject requests that are accepted.
func takesNull(schemas huma.Registry, operations ...*huma.Operation) {
	for _, op := range operations {
		if op == nil || op.RequestBody == nil {
			continue
		}
		for _, media := range op.RequestBody.Content {
			body := media.Schema
			for body != nil && body.Ref != "" {
				body = schemas.SchemaFromRef(body.Ref)
			}
			if body == nil {
				continue
			}
			for name, field := range body.Properties {
				if types, several := field.Extensions["type"].([]string); slices.Contains(body.Required, name) {
					continue
				} else if several && !slices.Contains(types, "null") {
					field.Extensions["type"] = append(slices.Clone(types), "null")
				}
				field.Nullable = true
			}
		}
	}
}

// explicitQuery rejects a query parameter that is given twice, and one without a value where the document requires a value.
// huma takes the first of two, and an empty value for an absent one: a client whose ?user_id= is empty by mistake would get
// the items of all users. Parameters that the operation does not have are ignored, so clients may add their own.
func explicitQuery(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		address := ctx.URL()
		if address.RawQuery == "" {
			next(ctx)
			return
		}
		if location, must := implicit(ctx.Operation(), address.Query()); must != "" {
			_ = huma.WriteErr(api, ctx, http.StatusBadRequest, wrongParam, &huma.ErrorDetail{Location: location, Message: must}) // the client may be gone
			return
		}
		next(ctx)
	}
}

// implicit returns the first parameter whose value is not clear, and the rule that the value breaks; "" when all are clear.
func implicit(op *huma.Operation, query url.Values) (location, must string) {
	for _, p := range op.Parameters {
		values, given := query[p.Name]
		switch {
		case p.In != "query" || !given:
		case len(values) > 1:
			return "query." + p.Name, "must be given once"
		case !Storable(values[0]):
			return "query." + p.Name, "must be valid UTF-8 without NUL"
		case values[0] == "" && !takesEmpty(p.Schema):
			return "query." + p.Name, "must have a value, or be left out"
		}
	}
	return "", ""
}

// takesEmpty reports whether the schema accepts the empty text. Only such a parameter may be given without a value.
func takesEmpty(s *huma.Schema) bool {
	if s.Type != huma.TypeString || len(s.Enum) > 0 || s.MinLength != nil && *s.MinLength > 0 {
		return false
	}
	matches, err := regexp.MatchString(s.Pattern, "")
	return err == nil && matches
}

// BadParam is the 400 problem that names a parameter, such as query.limit, and the rule that its value breaks. Handlers use it
// for rules that a schema cannot express.
func BadParam(location, must string) error {
	return huma.Error400BadRequest(wrongParam, &huma.ErrorDetail{Location: location, Message: must})
}

// Filter is a query parameter to compare with an id in the database; empty = not given. Its schema rejects a NUL and an empty
// value, so an empty Filter always means a list without that filter.
type Filter string

// Schema implements huma.SchemaProvider.
func (Filter) Schema(huma.Registry) *huma.Schema {
	least := 1
	return &huma.Schema{Type: huma.TypeString, MinLength: &least, Pattern: `^[^\x00]+$`}
}
