package windows

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"pasdetrois/pkg/platform/httpx"
)

//go:embed page
var files embed.FS

const (
	// aliveEvery is the time between two signs of life to a page that has nothing new: proxies close silent connections.
	aliveEvery = 15 * time.Second
	// readTime is how long a request may take to arrive.
	readTime = 10 * time.Second
	// writeTime is how long a browser may take to accept a snapshot. Then its connection ends, and EventSource connects again.
	writeTime = 10 * time.Second
	// stopTime bounds the end of requests in flight.
	stopTime = 2 * time.Second
)

// Page is a web page that shows the newest snapshot and updates by itself. It loads nothing from other hosts. Update
// and any number of requests may run at a time. A page keeps one snapshot, so slow browsers cost no memory.
type Page struct {
	mu      sync.Mutex
	latest  []byte
	changed chan struct{} // closed with each update
}

// NewPage returns a page with nothing on it.
func NewPage() *Page {
	return &Page{latest: []byte(`{"windows":[],"counters":{}}`), changed: make(chan struct{})}
}

// Update replaces the snapshot and wakes all streams. It does not wait for them.
func (p *Page) Update(s Snapshot) {
	encoded, err := json.Marshal(s)
	if err != nil {
		return // cannot happen: a snapshot has only values that JSON has
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest = encoded
	close(p.changed)
	p.changed = make(chan struct{})
}

// now returns the newest snapshot, and a channel that is closed when there is a newer one.
func (p *Page) now() ([]byte, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latest, p.changed
}

// Serve serves the page until ctx ends, then gives requests in flight stopTime. It closes l. It returns an error only
// when serving ends by itself. edge has more names under which browsers may call the page; log gets a line for requests that
// are refused.
func (p *Page) Serve(ctx context.Context, l net.Listener, edge httpx.Edge, log *slog.Logger) error {
	pages, err := fs.Sub(files, "page")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(pages))
	mux.HandleFunc("GET /windows", p.serveLatest)
	mux.HandleFunc("GET /stream", p.serveStream)
	server := &http.Server{Handler: edge.Guard(l.Addr(), log, nil, itself(mux)), ReadHeaderTimeout: readTime,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if server.Shutdown(stop) != nil {
		_ = server.Close()
	}
	<-ended
	return nil
}

// itself allows the page to load its own files, and nothing from elsewhere. No other page may frame it.
func itself(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'")
		next.ServeHTTP(w, r)
	})
}

func (p *Page) serveLatest(w http.ResponseWriter, _ *http.Request) {
	latest, _ := p.now()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(latest)
}

// serveStream sends each snapshot as a server-sent event, beginning with the present one. A browser that is slower than
// the updates skips the snapshots in between. The stream ends with the request, with the server, or after a write that
// took writeTime.
func (p *Page) serveStream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	latest, changed := p.now()
	message := fmt.Sprintf("data: %s\n\n", latest)
	for {
		_ = control.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err := w.Write([]byte(message)); err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-changed:
			latest, changed = p.now()
			message = fmt.Sprintf("data: %s\n\n", latest)
		case <-alive.C:
			message = ": alive\n\n"
		case <-r.Context().Done():
			return
		}
	}
}
