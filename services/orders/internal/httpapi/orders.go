package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

// placeInput is a request to place an order. Its schema rejects types and sizes; placement checks the contract's rules.
type placeInput struct {
	Wait
	KeyHeader
	Body struct {
		OrderID  OrderID        `json:"order_id,omitempty"`
		UserID   ID             `json:"user_id"`
		Total    *httpx.Decimal `json:"total,omitempty" doc:"Needed without items; with items it must be what they cost"`
		Currency Currency       `json:"currency,omitempty"`
		Items    []struct {
			SKU      SKU   `json:"sku"`
			Quantity Whole `json:"quantity" minimum:"1" maximum:"1000"`
		} `json:"items,omitempty" maxItems:"100"`
		PaymentMethod Text `json:"payment_method,omitempty" maxLength:"128"`
		Email         Text `json:"email,omitempty" maxLength:"254"`
	}
}

// orderOutput is an answer as bytes. A repetition under the same Idempotency-Key gets the stored bytes, also from a newer
// version of the service that writes orders differently.
type orderOutput struct {
	Status      int
	ContentType string `header:"Content-Type"`
	Location    string `header:"Location"`
	ETag        string `header:"ETag"`
	Replayed    string `header:"Idempotency-Replayed"`
	Body        []byte
}

// registerOrders adds the operations on orders. Answers are bytes for huma, so their schema is documented by hand.
func (a *API) registerOrders(api huma.API) {
	tags := []string{"orders"}
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Order](), true, "Order")
	answers := func(codes ...string) map[string]*huma.Response { return answersWith(schema, codes...) }
	read := answers("200")
	read["304"] = &huma.Response{Description: "It is still what If-None-Match names"}
	httpx.Register(api, huma.Operation{OperationID: placeOrder, Method: http.MethodPost, Path: "/orders", Tags: tags, Security: auth.Needs(auth.Write),
		DefaultStatus: http.StatusAccepted, Summary: "Place an order", Responses: answers("200", "202"),
		Parameters:      []*huma.Param{keyParameter()},
		BodyReadTimeout: -1, // strictBody has read the body already; huma's deadline would end the wait for the outcome
		Description:     "Either `items`, priced by the catalogue, or a plain `total`. 202 when it was taken; 200 when it is settled (`?wait=`) or was there already.",
		Errors:          []int{400, 409, 413, 415, 422, 429, 503}}, a.place)
	if a.logins {
		userOfLogin(api.OpenAPI())
	}
	httpx.Register(api, huma.Operation{OperationID: getOrder, Method: http.MethodGet, Path: "/orders/{id}", Tags: tags, Security: auth.Needs(auth.Read),
		Summary: "Get an order", Responses: read, Errors: []int{400, 404, 429, 503}}, a.get)
	httpx.Register(api, huma.Operation{OperationID: "list-orders", Method: http.MethodGet, Path: "/orders", Tags: tags, Security: auth.Needs(auth.Read),
		Summary: "List orders, newest first", Errors: []int{400, 503}}, a.list)
	httpx.Register(api, huma.Operation{OperationID: "cancel-order", Method: http.MethodPost, Path: "/orders/{id}/cancel", Tags: tags, Security: auth.Needs(auth.Write),
		DefaultStatus: http.StatusAccepted, Summary: "Cancel an order", Responses: answers("200", "202"),
		Description: "202 while the payment is being voided or refunded, 200 when it is cancelled.",
		Errors:      []int{400, 404, 409, 413, 415, 503}}, a.cancel)
}

// userOfLogin makes user_id of an order optional: without it, the order is the caller's.
func userOfLogin(document *huma.OpenAPI) {
	body := document.Paths["/orders"].Post.RequestBody.Content["application/json"].Schema
	if body.Ref != "" {
		body = document.Components.Schemas.SchemaFromRef(body.Ref)
	}
	body.Required = slices.DeleteFunc(body.Required, func(name string) bool { return name == "user_id" })
	body.PrecomputeMessages() // the validation reads its own copy of Required
	id := body.Properties["user_id"]
	id.Description = "The user of the token, or absent"
	id.Extensions["type"] = append(id.Extensions["type"].([]string), "null")
}

// answersWith documents answers that operations return as bytes.
func answersWith(schema *huma.Schema, codes ...string) map[string]*huma.Response {
	out := make(map[string]*huma.Response)
	for _, c := range codes {
		out[c] = &huma.Response{Description: "The order or product as it is now", Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
	}
	return out
}

// placement checks the request by the contract's own rules, so that HTTP takes no order that Kafka would reject. Its errors are
// 422 problems that name the fields. An order without a user is the caller's. It checks nothing in the catalogue: the use case does
// that in its transaction.
func placement(in *placeInput, caller string) (domain.Placement, error) {
	b := in.Body
	field := func(name string, err error) error {
		return huma.Error422UnprocessableEntity("the order breaks a rule", &huma.ErrorDetail{Location: "body." + name, Message: err.Error()})
	}
	p := domain.Placement{PaymentMethod: string(b.PaymentMethod), Email: string(b.Email)}
	var err error
	if p.OrderID, err = b.OrderID.text(); err != nil {
		return p, field("order_id", err)
	}
	if p.UserID, err = b.UserID.text(); err != nil {
		return p, field("user_id", err)
	}
	if b.UserID.absent() {
		p.UserID = caller
	}
	if p.Currency, err = b.Currency.code(); err != nil {
		return p, field("currency", err)
	}
	p.Total.Currency = p.Currency
	if b.Total != nil {
		if p.Total, err = messages.ParseMoneyStrict(string(*b.Total), p.Currency); err != nil {
			return p, field("total", err)
		}
		p.HasTotal = true
	}
	check := messages.OrderPlaced{OrderID: p.OrderID, UserID: p.UserID, Total: p.Total, HasTotal: p.HasTotal,
		PaymentMethod: p.PaymentMethod, Email: p.Email}
	if check.OrderID == "" { // the use case makes the id; the contract's rule needs one
		check.OrderID = "new"
	}
	for i, it := range b.Items {
		sku, err := it.SKU.text()
		if err != nil {
			return p, field("items["+strconv.Itoa(i)+"].sku", err)
		}
		p.Lines = append(p.Lines, domain.Line{SKU: sku, Quantity: int(it.Quantity)})
		check.Items = append(check.Items, messages.Item{SKU: sku, Quantity: int(it.Quantity)})
	}
	if err := check.Validate(); err != nil {
		return p, invalid(err)
	}
	return p, nil
}

// place serves POST /orders. The order is taken once PlaceOrder returns without an error, and no later step may turn that into
// an error for the client:
//
//	checked --> PlaceOrder --> taken, first answer kept under the key
//	   |            |             |
//	   4xx       503, 4xx         +-- no ?wait= --> first answer
//	                              +-- ?wait= -----> final answer, kept in place of the first one
//
// A request with a key and ?wait= keeps the key busy until the final answer is kept. When that fails, the first answer counts.
func (a *API) place(ctx context.Context, in *placeInput) (*orderOutput, error) {
	p, err := placement(in, auth.Of(ctx).User)
	if err != nil {
		return nil, err
	}
	wait, err := in.duration()
	if err != nil {
		return nil, err
	}
	key, err := in.idempotency(ctx, wait, "place-order", p)
	if err != nil {
		return nil, err
	}
	store, cancel := a.bounded(ctx)
	defer cancel()
	placed, err := a.app.PlaceOrder(store, p, key, func(p app.Placed) (app.Answer, error) { return render(p.Order, p.Created) })
	if errors.Is(err, app.ErrBusy) {
		after, _ := a.app.Busy()
		return nil, httpx.TooBusy(ctx, after)
	}
	if err != nil {
		return nil, a.notTaken(err)
	}
	if placed.Replayed != nil {
		return output(*placed.Replayed, true), nil
	}
	first, err := render(placed.Order, placed.Created)
	if err != nil {
		return nil, a.problem(err)
	}
	if wait == 0 {
		return output(first, false), nil
	}
	// The order is taken, and the client must get that answer even when a later step fails.
	final, err := render(a.settled(ctx, placed.Order, wait), placed.Created)
	if err != nil {
		return nil, a.problem(err)
	}
	if key != nil {
		finish, cancel := a.bounded(context.WithoutCancel(ctx))
		defer cancel()
		if err := a.app.FinishAnswer(finish, *key, final); err != nil {
			// A repetition gets the first answer then, so this request gets it too.
			a.log.Warn("the first answer stays under its idempotency key", "order_id", placed.Order.ID, "err", err)
			final = first
		}
	}
	return output(final, false), nil
}

// render returns the answer to a request that placed an order: 202 while the order is new and open, else 200. The trailing line
// break is for clients on a terminal.
func render(o domain.Order, created bool) (app.Answer, error) {
	body, err := json.Marshal(orderBody(o))
	status := http.StatusAccepted
	if !created || o.Status.Settled() {
		status = http.StatusOK
	}
	return app.Answer{Status: status, Location: location(o.ID), ETag: etag(o.Version), Body: append(body, '\n')}, err
}

// output returns an answer for huma. replayed marks an answer that was kept under the Idempotency-Key of an earlier request.
func output(a app.Answer, replayed bool) *orderOutput {
	out := &orderOutput{Status: a.Status, ContentType: "application/json", Location: a.Location, ETag: a.ETag, Body: a.Body}
	if replayed {
		out.Replayed = "true"
	}
	return out
}

type getInput struct {
	Wait
	ID          string `path:"id"`
	IfNoneMatch string `header:"If-None-Match" doc:"ETags of answers that the client has"`
	tags        []string
}

// Resolve implements huma.Resolver. It reads all lines of If-None-Match, of which huma binds only the first.
func (in *getInput) Resolve(ctx huma.Context) []error {
	in.tags = headerLines(ctx, "If-None-Match")
	return nil
}

// get serves GET /orders/{id}. With ?wait= it answers once the order is settled, or with its state when the wait is over. The
// ETag is compared after the wait: a client that polls with both gets 304 only when nothing happened meanwhile.
func (a *API) get(ctx context.Context, in *getInput) (*orderOutput, error) {
	if !httpx.Storable(in.ID) {
		return nil, a.problem(app.ErrNotFound)
	}
	wait, err := in.duration()
	if err != nil {
		return nil, err
	}
	store, cancel := a.bounded(ctx)
	defer cancel()
	o, err := a.app.Order(store, in.ID)
	if err != nil {
		return nil, a.problem(err)
	}
	if wait > 0 && !o.Status.Settled() {
		o = a.settled(ctx, o, wait)
	}
	if matches(in.tags, etag(o.Version)) {
		return &orderOutput{Status: http.StatusNotModified, ETag: etag(o.Version)}, nil
	}
	answer, err := render(o, false)
	if err != nil {
		return nil, a.problem(err)
	}
	answer.Location = "" // the client asked at this address
	return output(answer, false), nil
}

// cancel serves POST /orders/{id}/cancel. A repetition gets the order's present state, so it may answer 200 where the first
// request got 202. An order that ended in another way is answered 409.
func (a *API) cancel(ctx context.Context, in *struct {
	ID string `path:"id"`
}) (*orderOutput, error) {
	if !httpx.Storable(in.ID) {
		return nil, a.problem(app.ErrNotFound)
	}
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	o, err := a.app.CancelOrder(ctx, in.ID)
	if err != nil {
		return nil, a.problem(err)
	}
	answer, err := render(o, true)
	if err != nil {
		return nil, a.problem(err)
	}
	return output(answer, false), nil
}
