package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

type timelineInput struct {
	ID          string `path:"id"`
	Accept      string `header:"Accept" hidden:"true"` // OpenAPI ignores a parameter of this name: the answers list the media types
	LastEventID string `header:"Last-Event-ID" doc:"Number of the last event seen: the stream resumes after it"`
}

type timelineBody struct {
	Items []Change `json:"items"`
}

func (a *API) registerTimeline(api huma.API) {
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[timelineBody](), true, "Timeline")
	httpx.Register(api, huma.Operation{OperationID: followOrder, Method: http.MethodGet, Path: "/orders/{id}/events",
		Tags: []string{"orders"}, Security: auth.Needs(auth.Read), Summary: "What happened to an order",
		Description: "The timeline so far as JSON, or as server-sent events with `Accept: text/event-stream`. The stream ends when the order is " +
			"settled; requested again with the last event's id it answers 204, which stops an EventSource. While the database is away " +
			"the stream is open and silent, and a stream for which there is no room ends at once and says when to come back.",
		Responses: map[string]*huma.Response{
			"200": {Description: "The timeline", Content: map[string]*huma.MediaType{"application/json": {Schema: schema},
				eventStream: {Schema: &huma.Schema{Type: huma.TypeString}}}},
			"204": {Description: "The order is settled, and no event came after Last-Event-ID"},
		},
		Errors: []int{400, 404, 406, 429, 503}}, a.timeline)
}

// timeline serves GET /orders/{id}/events as JSON or as a stream. A stream opens even while the database is away: an EventSource
// never asks again after 503, and an open one waits for its events.
//
//	406  the client accepts neither JSON nor a stream
//	400  Last-Event-ID is no number, or greater than the order's version
//	404  there is no such order
//	204  settled, and no change after Last-Event-ID: an EventSource stops
//	200  JSON; or a stream until the order is settled; or, without room for one more waiting request, a stream that ends at
//	     once with a time to ask again
func (a *API) timeline(ctx context.Context, in *timelineInput) (*huma.StreamResponse, error) {
	if !httpx.Storable(in.ID) {
		return nil, a.problem(app.ErrNotFound)
	}
	streaming, ok := wantsStream(in.Accept)
	if !ok {
		return nil, huma.Error406NotAcceptable("the timeline is application/json or " + eventStream)
	}
	if !streaming {
		return a.timelineSoFar(ctx, in.ID)
	}
	seen, err := lastSeen(in.LastEventID)
	if err != nil {
		return nil, err
	}
	changes, over, err := a.resume(ctx, in.ID, seen)
	away := a.failures.Away(err)
	switch {
	case away:
	case errors.Is(err, errNeverSeen):
		return nil, badLastSeen()
	case err != nil:
		return nil, a.problem(err)
	case over:
		return &huma.StreamResponse{Body: func(hc huma.Context) { hc.SetStatus(http.StatusNoContent) }}, nil
	}
	done, ok := a.hold(ctx)
	if !ok {
		return &huma.StreamResponse{Body: func(hc huma.Context) { a.comeBack(hc) }}, nil
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer done()
		a.stream(hc, in.ID, seen, changes, away)
	}}, nil
}

// timelineSoFar answers with all changes as one JSON document. A timeline has few entries, so it has no pages.
func (a *API) timelineSoFar(ctx context.Context, id string) (*huma.StreamResponse, error) {
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	changes, err := a.app.Timeline(ctx, id, 0)
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

const eventStream = "text/event-stream"

// wantsStream reads an Accept header. A client gets the stream when it names the stream and does not prefer JSON; a range such
// as */* means JSON. ok is false when the client accepts neither.
func wantsStream(accept string) (stream, ok bool) {
	events, named := httpx.Quality(accept, eventStream)
	json, _ := httpx.Quality(accept, "application/json")
	stream = named && events > 0 && events >= json
	return stream, stream || json > 0
}

// errNeverSeen means that Last-Event-ID is greater than the order's version. The client follows another order, or a database
// that was since restored from a backup.
var errNeverSeen = errors.New("the last event seen has not happened")

// resume reads the changes that a stream begins with: those after the one with the number seen. over means that no change will
// follow. The order is read first and its changes then: a change between the two reads is in the result, and none is missed.
func (a *API) resume(ctx context.Context, id string, seen int64) (changes []domain.Change, over bool, err error) {
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	order, err := a.app.Order(ctx, id)
	switch {
	case err != nil:
		return nil, false, err
	case seen > order.Version:
		return nil, false, errNeverSeen
	case seen == order.Version && order.Status.Settled():
		return nil, true, nil
	}
	changes, err = a.app.Timeline(ctx, id, seen)
	return changes, false, err
}

// lastSeen returns the number in Last-Event-ID, 0 without one: the stream then begins at the first change.
func lastSeen(header string) (int64, error) {
	if header == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(header, 10, 64)
	if err != nil || n < 0 {
		return 0, badLastSeen()
	}
	return n, nil
}

func badLastSeen() error {
	return httpx.BadParam("header.Last-Event-ID", "must be the number of an event of this order")
}
