package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

type skuInput struct {
	SKU string `path:"sku"`
}

type productOutput struct {
	Status int
	Body   Product
}

type productsOutput struct {
	Body struct {
		Items []Product `json:"items"`
	}
}

// registerInventory adds the operations that read the catalogue. It is small, so the list has no pages.
func (a *API) registerInventory(api huma.API) {
	tags := []string{"inventory"}
	httpx.Register(api, huma.Operation{OperationID: "list-inventory", Method: http.MethodGet, Path: "/inventory", Tags: tags,
		Security: auth.Needs(auth.Read, auth.Write),
		Summary:  "List the catalogue with its stock", Errors: []int{503}},
		func(ctx context.Context, _ *struct{}) (*productsOutput, error) {
			ctx, cancel := a.bounded(ctx)
			defer cancel()
			products, err := a.app.Products(ctx)
			if err != nil {
				return nil, a.problem(err)
			}
			out := &productsOutput{}
			out.Body.Items = make([]Product, len(products))
			for i, p := range products {
				out.Body.Items[i] = productBody(p)
			}
			return out, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "get-product", Method: http.MethodGet, Path: "/inventory/{sku}", Tags: tags,
		Security: auth.Needs(auth.Read, auth.Write),
		Summary:  "Get a product with its stock", Errors: []int{404, 503}},
		func(ctx context.Context, in *skuInput) (*productOutput, error) {
			if !httpx.Storable(in.SKU) {
				return nil, a.problem(app.ErrNotFound)
			}
			ctx, cancel := a.bounded(ctx)
			defer cancel()
			p, err := a.app.Product(ctx, in.SKU)
			return a.product(http.StatusOK, p, err)
		})
}

type putProductInput struct {
	SKUPath
	Body struct {
		Name     string        `json:"name" minLength:"1" maxLength:"200" pattern:"^[^\\x00-\\x1f\\x7f-\\x9f]*$" doc:"Without control characters"`
		Price    httpx.Decimal `json:"price" exclusiveMinimum:"0"`
		Currency Currency      `json:"currency,omitempty"`
	}
}

type restockInput struct {
	SKUPath
	KeyHeader
	Body struct {
		Quantity Whole `json:"quantity" minimum:"1" maximum:"1000000000"`
	}
}

// SKUPath is the sku of a product to create or to restock. It follows the contract's rule for a sku in an order, so every
// product can be ordered.
type SKUPath struct {
	SKU string `path:"sku" minLength:"1" maxLength:"64" pattern:"^[!-~]*$" doc:"1 to 64 printable ASCII characters without spaces"`
}

// registerCatalogue adds the operations that change the catalogue, for the admin server. A put is idempotent by itself; adding
// pieces is not, so restock takes an Idempotency-Key.
func (a *API) registerCatalogue(api huma.API) {
	tags := []string{"inventory"}
	product := map[string]*huma.MediaType{"application/json": {Schema: api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Product](), true, "Product")}}
	products := map[string]*huma.Response{"200": {Description: "Changed", Content: product}, "201": {Description: "Created", Content: product}}
	httpx.Register(api, huma.Operation{OperationID: "put-product", Method: http.MethodPut, Path: "/inventory/{sku}", Tags: tags,
		Summary: "Create a product, or change its name and price", Responses: products, Errors: []int{400, 413, 415, 422, 503}},
		func(ctx context.Context, in *putProductInput) (*productOutput, error) {
			currency, err := in.Body.Currency.code()
			if err != nil {
				return nil, huma.Error422UnprocessableEntity("the price is not an amount", &huma.ErrorDetail{Location: "body.currency", Message: err.Error()})
			}
			price, err := messages.ParseMoneyStrict(string(in.Body.Price), currency)
			if err != nil {
				return nil, huma.Error422UnprocessableEntity("the price is not an amount", &huma.ErrorDetail{Location: "body.price", Message: err.Error()})
			}
			if price.Minor <= 0 { // orders are never free
				return nil, huma.Error422UnprocessableEntity("the price is not an amount", &huma.ErrorDetail{Location: "body.price", Message: "must be more than 0"})
			}
			if strings.ContainsFunc(in.Body.Name, unicode.IsControl) {
				return nil, huma.Error422UnprocessableEntity("name must not contain control characters",
					&huma.ErrorDetail{Location: "body.name", Message: "must not contain control characters"})
			}
			ctx, cancel := a.bounded(ctx)
			defer cancel()
			p, created, err := a.app.PutProduct(ctx, in.SKU, in.Body.Name, price)
			status := http.StatusOK
			if created {
				status = http.StatusCreated
			}
			return a.product(status, p, err)
		})
	httpx.Register(api, huma.Operation{OperationID: "restock-product", Method: http.MethodPost, Path: "/inventory/{sku}/restock", Tags: tags,
		Summary: "Add to a product's stock", Parameters: []*huma.Param{keyParameter()}, Responses: answersWith(product["application/json"].Schema, "200"), Errors: []int{400, 404, 409, 413, 415, 422, 503}},
		a.restock)
}

// restock adds pieces once per Idempotency-Key: one transaction adds the pieces and keeps the answer. Without a key, a repetition
// adds the pieces again.
func (a *API) restock(ctx context.Context, in *restockInput) (*orderOutput, error) {
	key, err := in.idempotency(ctx, 0, "restock-product", in.SKU, in.Body.Quantity)
	if err != nil {
		return nil, err
	}
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	answer, replayed, err := a.app.Restock(ctx, in.SKU, int64(in.Body.Quantity), key, func(p domain.Product) (app.Answer, error) {
		body, err := json.Marshal(productBody(p))
		return app.Answer{Status: http.StatusOK, Body: append(body, '\n')}, err
	})
	if err != nil {
		return nil, a.problem(err)
	}
	return output(answer, replayed), nil
}

// product answers with a product, or with the problem for err.
func (a *API) product(status int, p domain.Product, err error) (*productOutput, error) {
	if err != nil {
		return nil, a.problem(err)
	}
	return &productOutput{Status: status, Body: productBody(p)}, nil
}
