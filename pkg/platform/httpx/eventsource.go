package httpx

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// eventStream is the media type of server-sent events.
const eventStream = "text/event-stream"

// isEventSource reports whether the request is an EventSource's: by the HTML standard it accepts event streams and nothing
// else. It asks again after its stream ended, but never after any status other than 200.
func isEventSource(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Accept") == eventStream && r.ContentLength == 0
}

// ComeBack returns the whole text of an event stream without events. Its field retry makes an EventSource ask again after the
// time, which is sent in milliseconds.
func ComeBack(after time.Duration) string { return fmt.Sprintf("retry: %d\n\n", after.Milliseconds()) }

// refuseStream answers an EventSource for which there is no room: 200 with a stream that ends at once and names the time to
// ask again. Other clients get 503 with Retry-After, after which an EventSource would never ask again.
func refuseStream(w http.ResponseWriter, seconds int) {
	body := ComeBack(time.Duration(seconds) * time.Second)
	h := w.Header()
	h.Set("Content-Type", eventStream)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = io.WriteString(w, body) // the client may be gone
}
