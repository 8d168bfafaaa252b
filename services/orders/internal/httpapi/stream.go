package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/wait"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

// stream writes the changes, then waits for more until the order is settled, the client is gone or the server drains. While it
// waits it holds no database connection and no lock, so many streams cost only memory. It waits for a database that fails; the
// client gets heartbeats meanwhile. away means that the database failed already, so the changes must be read first.
//
//	away --database back--> changes --written--> waiting --news--> changes ...
//	                                                | heartbeat without news: a comment, and on
//	                                                +-- settled, client gone, drain, no order of the caller any more: end
//
// Every event is written once and in order within a stream. A client that lost its connection resumes with Last-Event-ID.
func (a *API) stream(hc huma.Context, id string, after int64, changes []domain.Change, away bool) {
	out, err := a.openStream(hc)
	if err != nil {
		return
	}
	if hc.Method() == http.MethodHead {
		return
	}
	if away {
		if changes, err = a.returned(hc.Context(), out, id, after); err != nil {
			return
		}
	}
	for ctx := hc.Context(); ctx.Err() == nil; {
		settled := false
		for _, c := range changes {
			if err := out.event(c); err != nil {
				return
			}
			after, settled = c.Number, c.To.Settled()
		}
		if err := out.flush(); err != nil || settled {
			return
		}
		changes, err = a.news(ctx, id, after)
		if errors.Is(err, app.ErrNotFound) {
			return
		}
		if err != nil {
			if err := out.write(stillHere); err != nil {
				return
			}
		}
	}
}

// stillHere is a comment of server-sent events, which clients ignore.
const stillHere = ": still here\n\n"

// askAgain is the pause between two reads of a database that fails.
const askAgain = time.Second

// returned waits for the database and returns the changes that the stream begins with. An error ends the stream: the client
// has gone, or there is nothing to follow. The status 200 was sent before, so the stream cannot name the reason. A client that
// asks again gets it: 404, 400 or 204.
func (a *API) returned(ctx context.Context, out *events, id string, after int64) ([]domain.Change, error) {
	for beat := time.Now(); ; {
		if !time.Now().Before(beat) {
			if err := errors.Join(out.write(stillHere), out.flush()); err != nil {
				return nil, err
			}
			beat = time.Now().Add(a.heartbeat)
		}
		wait.Sleep(ctx, min(askAgain, a.heartbeat))
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		changes, over, err := a.resume(ctx, id, after)
		switch {
		case over:
			return nil, errNothingFollows
		case err == nil || !pgdb.IsUnavailable(err):
			return changes, err
		}
	}
}

var errNothingFollows = errors.New("nothing follows the last event seen")

// comeBack answers with a stream that ends at once, and names the time to ask again. An EventSource obeys that; after 503 it
// would never ask again.
func (a *API) comeBack(hc huma.Context) {
	if out, err := a.openStream(hc); err == nil && hc.Method() != http.MethodHead {
		_ = out.write(httpx.ComeBack(httpx.RetryAfter)) // the client may be gone
	}
}

// news waits for changes after the number given. It returns an error when there were none for a heartbeat's time, or when ctx
// has ended, or app.ErrNotFound. Other errors of the database are retried within that time. A change between the watch and the read is
// in the result too.
func (a *API) news(ctx context.Context, id string, after int64) ([]domain.Change, error) {
	beat, cancel := context.WithTimeout(ctx, a.heartbeat)
	defer cancel()
	for {
		_, err := a.app.Watch(beat, id, after)
		if err == nil {
			var changes []domain.Change
			read, cancel := a.bounded(ctx)
			changes, err = a.app.Timeline(read, id, after)
			cancel()
			if err == nil {
				return changes, nil
			}
		}
		if beat.Err() != nil {
			return nil, beat.Err()
		}
		if errors.Is(err, app.ErrNotFound) { // it was erased, or is now another user's
			return nil, err
		}
		a.log.Debug("could not follow an order", "order_id", id, "err", err)
		wait.Sleep(beat, askAgain) // without the pause, a failing database would get a read as fast as it fails
	}
}

// events is an open stream of server-sent events. One goroutine writes to it.
type events struct {
	w      io.Writer
	conn   *http.ResponseController
	within time.Duration
}

// openStream sets the headers of a stream. The status 200 is sent with the first write or flush.
func (a *API) openStream(hc huma.Context) (*events, error) {
	w, ok := hc.BodyWriter().(http.ResponseWriter)
	if !ok {
		return nil, http.ErrNotSupported
	}
	hc.SetHeader("Content-Type", eventStream)
	hc.SetHeader("Cache-Control", "no-store")
	hc.SetHeader("X-Accel-Buffering", "no") // nginx would collect events before it sends them
	return &events{w: w, conn: http.NewResponseController(w), within: a.writeWithin}, nil
}

func (e *events) event(c domain.Change) error {
	data, err := json.Marshal(changeBody(c))
	if err != nil {
		return err
	}
	return e.write(fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", c.Number, c.Event, data))
}

func (e *events) write(s string) error {
	e.limit()
	_, err := io.WriteString(e.w, s)
	return err
}

func (e *events) flush() error {
	e.limit()
	return e.conn.Flush()
}

// limit makes a write fail when the client reads nothing for writeWithin. Such a client would otherwise hold its stream, and a
// drain, for ever. It also replaces the server's deadline for an answer, which is shorter than a stream.
func (e *events) limit() { _ = e.conn.SetWriteDeadline(time.Now().Add(e.within)) }
