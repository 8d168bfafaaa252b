package deadletter

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/masked"
)

// Body is a letter in the admin API. Key, value and header values that are not UTF-8 text are in the …_base64 field instead, so
// an operator gets every byte.
type Body struct {
	ID          int64        `json:"id"`
	Topic       string       `json:"topic"`
	Partition   int32        `json:"partition"`
	Offset      int64        `json:"offset"`
	LastOffset  int64        `json:"last_offset,omitempty" doc:"The letter stands for a batch, from offset to here, that could not be read"`
	Key         string       `json:"key,omitempty"`
	KeyBase64   []byte       `json:"key_base64,omitempty"`
	Value       *string      `json:"value,omitempty" doc:"The record's value when it is text; absent in lists and for a null value"`
	ValueBase64 []byte       `json:"value_base64,omitempty"`
	ValueBytes  int64        `json:"value_bytes,omitempty" doc:"How long the record's value was"`
	ValueSHA256 string       `json:"value_sha256,omitempty" doc:"Of the whole value, in hex, when the letter keeps only its beginning"`
	Cut         bool         `json:"cut,omitempty" doc:"The letter does not hold the whole record, so it cannot be replayed"`
	Headers     []HeaderBody `json:"headers,omitempty"`
	Reason      string       `json:"reason"`
	Detail      string       `json:"detail"`
	Stack       string       `json:"stack,omitempty"`
	State       string       `json:"state" enum:"parked,replaying,replayed,discarded"`
	Attempts    int          `json:"attempts" doc:"How often it was replayed"`
	Time        time.Time    `json:"time" doc:"The record's time"`
	ParkedAt    time.Time    `json:"parked_at"`
}

// HeaderBody is one record header.
type HeaderBody struct {
	Key         string `json:"key"`
	Value       string `json:"value,omitempty"`
	ValueBase64 []byte `json:"value_base64,omitempty"`
}

func textOrBytes(b []byte) (string, []byte) {
	if utf8.Valid(b) {
		return string(b), nil
	}
	return "", b
}

func summary(l Letter) Body {
	b := Body{ID: l.ID, Topic: l.Record.Topic, Partition: l.Record.Partition, Offset: l.Record.Offset, Reason: l.Reason,
		Detail: l.Detail, State: l.State, Attempts: l.Attempts, Time: l.Record.Time, ParkedAt: l.ParkedAt}
	b.Key, b.KeyBase64 = textOrBytes(l.Record.Key)
	b.LastOffset, b.Cut = l.Record.LastOffset, l.Cut()
	return b
}

func listed(s Summary) Body {
	b := summary(s.Letter)
	b.Detail = masked.Addresses(b.Detail) // the letter itself shows all of it
	b.ValueBytes, b.Cut = s.ValueBytes, s.IsCut
	return b
}

func full(l Letter) Body {
	b := summary(l)
	b.Stack, b.ValueSHA256 = l.Stack, hex.EncodeToString(l.Whole.SHA256)
	b.ValueBytes = max(l.Whole.Value, int64(len(l.Record.Value)))
	if l.Record.Value != nil {
		text, raw := textOrBytes(l.Record.Value)
		if raw == nil {
			b.Value = &text
		}
		b.ValueBase64 = raw
	}
	for _, h := range l.Record.Headers {
		b.Headers = append(b.Headers, headerBody(h))
	}
	return b
}

func headerBody(h messages.Header) HeaderBody {
	out := HeaderBody{Key: h.Key}
	out.Value, out.ValueBase64 = textOrBytes(h.Value)
	return out
}

type listInput struct {
	State  string                     `query:"state" enum:"parked,replaying,replayed,discarded,all" default:"parked" doc:"Only letters in this state, or all"`
	Limit  int                        `query:"limit" minimum:"1" maximum:"500" default:"100"`
	Cursor httpx.Cursor[httpx.Number] `query:"cursor" doc:"next_cursor of the page before"`
}

type idInput struct {
	ID int64 `path:"id" minimum:"1"`
}

type letterOutput struct{ Body Body }

// Register adds GET /dead-letters, GET /dead-letters/{id}, POST /dead-letters/{id}/replay and …/discard to the admin
// API. Replay answers 202: the worker does the work. Discard takes effect at once, and cannot be undone.
func Register(api huma.API, store *Store, worker *Worker) {
	tags := []string{"dead letters"}
	httpx.Register(api, huma.Operation{OperationID: "list-dead-letters", Method: http.MethodGet, Path: "/dead-letters",
		Summary: "List parked messages", Tags: tags, Errors: []int{http.StatusBadRequest, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *listInput) (*httpx.PageOutput[Body], error) {
			ctx, cancel := httpx.Bounded(ctx)
			defer cancel()
			f := Filter{State: in.State, Limit: in.Limit + 1, After: int64(in.Cursor.Position)}
			if f.State == "all" {
				f.State = ""
			}
			letters, err := store.List(ctx, f)
			if err != nil {
				return nil, worker.problem(err)
			}
			return httpx.NewPage(letters, in.Limit, listed, func(s Summary) httpx.Number { return httpx.Number(s.ID) }), nil
		})
	show := func(ctx context.Context, id int64) (*letterOutput, error) {
		l, err := store.Get(ctx, id)
		if err != nil {
			return nil, worker.problem(err)
		}
		return &letterOutput{Body: full(l)}, nil
	}
	httpx.Register(api, huma.Operation{OperationID: "get-dead-letter", Method: http.MethodGet, Path: "/dead-letters/{id}",
		Summary: "Show a parked message whole", Tags: tags, Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *idInput) (*letterOutput, error) {
			ctx, cancel := httpx.Bounded(ctx)
			defer cancel()
			return show(ctx, in.ID)
		})
	httpx.Register(api, huma.Operation{OperationID: "replay-dead-letter", Method: http.MethodPost, Path: "/dead-letters/{id}/replay",
		DefaultStatus: http.StatusAccepted, Summary: "Handle a parked message again", Tags: tags,
		Description: "The message goes through its use case again in the background; look at it again for the outcome: `replayed`, or `parked` with the new reason.",
		Errors:      []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *idInput) (*letterOutput, error) {
			ctx, cancel := httpx.Bounded(ctx)
			defer cancel()
			if err := store.Replay(ctx, in.ID); err != nil {
				return nil, worker.problem(err)
			}
			worker.Wake()
			return show(ctx, in.ID)
		})
	httpx.Register(api, huma.Operation{OperationID: "discard-dead-letter", Method: http.MethodPost, Path: "/dead-letters/{id}/discard",
		Summary: "Give a parked message up", Tags: tags, Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *idInput) (*letterOutput, error) {
			ctx, cancel := httpx.Bounded(ctx)
			defer cancel()
			if err := store.Discard(ctx, in.ID); err != nil {
				return nil, worker.problem(err)
			}
			return show(ctx, in.ID)
		})
}

// problem converts an error of the Store: 404 without such a letter, 409 for a state or a letter that forbids the request, 503
// while the database is away.
func (w *Worker) problem(err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, ErrNotWhole):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, ErrNotParked):
		return huma.Error409Conflict(err.Error() + ": only a parked message can be replayed or discarded")
	default:
		return w.failures.Answer(err, "the database does not answer")
	}
}

// Shown returns a letter as GET /dead-letters/{id} shows it.
func Shown(l Letter) Body { return full(l) }
