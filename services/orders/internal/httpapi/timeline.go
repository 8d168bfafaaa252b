package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

type timelineInput struct {
	ID          string `path:"id"`
	Accept      string `header:"Accept" doc:"text/event-stream follows the order until it is settled; anything else that takes JSON gets the timeline so far"`
	LastEventID string `header:"Last-Event-ID" doc:"Number of the last event seen: the stream goes on after it"`
}

type timelineBody struct {
	Items []Change `json:"items"`
}

func (a *API) registerTimeline(api huma.API) {
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[timelineBody](), true, "Timeline")
	httpx.Register(api, huma.Operation{OperationID: "order-events", Method: http.MethodGet, Path: "/orders/{id}/events",
		Tags: []string{"orders"}, Summary: "What happened to an order",
		Description: "The timeline as JSON, or as server-sent events with `Accept: text/event-stream`. The stream ends when the order is " +
			"settled; asked again with the last event's id it answers 204, which tells an EventSource to stop.",
		Responses: map[string]*huma.Response{
			"200": {Description: "The timeline", Content: map[string]*huma.MediaType{"application/json": {Schema: schema},
				eventStream: {Schema: &huma.Schema{Type: huma.TypeString}}}},
			"204": {Description: "The order is settled, and no event came after Last-Event-ID"},
		},
		Errors: []int{400, 404, 406, 503}}, a.timeline)
}

// timeline answers both. Streams see the order first and its changes then, so what comes after the status that they saw
// is news.
func (a *API) timeline(ctx context.Context, in *timelineInput) (*huma.StreamResponse, error) {
	if !storable(in.ID) {
		return nil, a.problem(app.ErrNotFound)
	}
	streaming, ok := wantsStream(in.Accept)
	if !ok {
		return nil, huma.Error406NotAcceptable("the timeline is application/json or " + eventStream)
	}
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	if !streaming {
		changes, err := a.app.Timeline(ctx, in.ID, 0)
		if err != nil {
			return nil, a.problem(err)
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			hc.SetHeader("Content-Type", "application/json")
			body := timelineBody{Items: make([]Change, len(changes))}
			for i, c := range changes {
				body.Items[i] = changeBody(c)
			}
			_ = json.NewEncoder(hc.BodyWriter()).Encode(body) // the client may be gone
		}}, nil
	}
	order, err := a.app.Order(ctx, in.ID)
	if err != nil {
		return nil, a.problem(err)
	}
	after, err := lastSeen(in.LastEventID, order)
	if err != nil {
		return nil, err
	}
	if after == order.Version && order.Status.Settled() {
		return &huma.StreamResponse{Body: func(hc huma.Context) { hc.SetStatus(http.StatusNoContent) }}, nil
	}
	changes, err := a.app.Timeline(ctx, in.ID, after)
	if err != nil {
		return nil, a.problem(err)
	}
	done, ok := httpx.Wait(ctx)
	if !ok {
		return nil, httpx.Unavailable("too many streams are open; try again, or ask for the timeline without one", retryAfter)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer done()
		a.stream(hc, in.ID, after, changes)
	}}, nil
}

// lastSeen is the number that Last-Event-ID names. An event that has not happened was never seen.
func lastSeen(header string, o domain.Order) (int64, error) {
	if header == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(header, 10, 64)
	if err != nil || n < 0 || n > o.Version {
		return 0, httpx.BadParam("header.Last-Event-ID", "must be the number of an event of this order")
	}
	return n, nil
}
