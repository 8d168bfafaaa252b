package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

var reflectOrder = reflect.TypeFor[Order]()

type timelineInput struct {
	ID          string `path:"id" maxLength:"128"`
	Accept      string `header:"Accept" doc:"text/event-stream follows the order until it is settled"`
	LastEventID string `header:"Last-Event-ID" pattern:"^[0-9]{0,18}$" doc:"Number of the last event seen: the stream goes on after it"`
}

func (a *API) registerTimeline(api huma.API) {
	huma.Register(api, huma.Operation{OperationID: "order-events", Method: http.MethodGet, Path: "/orders/{id}/events",
		Tags: []string{"orders"}, Summary: "What happened to an order",
		Description: "The timeline as JSON `{items}`, or as server-sent events with `Accept: text/event-stream`.",
		Errors:      []int{404, 422, 503}}, a.timeline)
}

func (a *API) timeline(ctx context.Context, in *timelineInput) (*huma.StreamResponse, error) {
	if !storable(in.ID) {
		return nil, a.problem(app.ErrNotFound)
	}
	var after int64
	streaming := strings.Contains(in.Accept, "text/event-stream")
	if streaming && in.LastEventID != "" {
		after, _ = strconv.ParseInt(in.LastEventID, 10, 64)
	}
	store, cancel := bounded(ctx)
	defer cancel()
	changes, err := a.app.Timeline(store, in.ID, after)
	if err != nil {
		return nil, a.problem(err)
	}
	if streaming {
		return &huma.StreamResponse{Body: func(hc huma.Context) { a.stream(hc, in.ID, after, changes) }}, nil
	}
	items := make([]Change, len(changes))
	for i, c := range changes {
		items[i] = changeBody(c)
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/json")
		_ = json.NewEncoder(hc.BodyWriter()).Encode(map[string]any{"items": items}) // the client may be gone
	}}, nil
}

// stream writes the changes, then waits for more until the order is settled or the client is gone. No database
// connection is held while it waits.
func (a *API) stream(hc huma.Context, id string, after int64, changes []domain.Change) {
	ctx := hc.Context()
	hc.SetHeader("Content-Type", "text/event-stream")
	hc.SetHeader("Cache-Control", "no-store")
	w := hc.BodyWriter()
	flush := func() {
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
	for {
		for _, c := range changes {
			data, err := json.Marshal(changeBody(c))
			if err != nil {
				return
			}
			if _, err := fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", c.Number, c.Event, data); err != nil {
				return
			}
			after = c.Number
		}
		flush()
		order, err := a.app.Order(ctx, id)
		if err != nil || (order.Status.Settled() && order.Version <= after) {
			return
		}
		if order.Version <= after {
			wait, cancel := context.WithTimeout(ctx, a.heartbeat)
			_, err = a.app.Watch(wait, id, after)
			cancel()
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				if _, err := fmt.Fprint(w, ": still here\n\n"); err != nil {
					return
				}
				// A failing watch must not become a loop without a pause.
				if wait.Err() == nil && !pause(ctx, time.Second) {
					return
				}
			}
		}
		if changes, err = a.app.Timeline(ctx, id, after); err != nil {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
