package windows

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"sync"
	"time"
)

//go:embed page
var files embed.FS

const (
	// aliveEvery is how often a page that has nothing new is told that it is still connected.
	aliveEvery = 15 * time.Second
	// readTime is how long a request may take to arrive.
	readTime = 10 * time.Second
	// writeTime is how long a page may take to take what it is sent.
	writeTime = 10 * time.Second
	// stopTime bounds the end of requests in flight.
	stopTime = 2 * time.Second
)

// Page is a web page that shows the newest snapshot and updates by itself. It needs no other host.
type Page struct {
	mu      sync.Mutex
	latest  []byte
	changed chan struct{} // closed with each update
}

// NewPage returns a page with nothing on it.
func NewPage() *Page {
	return &Page{latest: []byte(`{"windows":[],"counters":{}}`), changed: make(chan struct{})}
}

// Update shows a newer snapshot.
func (p *Page) Update(s Snapshot) {
	encoded, err := json.Marshal(s)
	if err != nil {
		return // has no value that JSON has not
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest = encoded
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Page) now() ([]byte, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latest, p.changed
}

// Serve serves the page until ctx ends. It closes l.
func (p *Page) Serve(ctx context.Context, l net.Listener) error {
	pages, err := fs.Sub(files, "page")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(pages))
	mux.HandleFunc("GET /windows", p.serveLatest)
	mux.HandleFunc("GET /stream", p.serveStream)
	server := &http.Server{Handler: guarded(mux), ReadHeaderTimeout: readTime,
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

// guarded lets the page load nothing from elsewhere, and nobody frame it.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (p *Page) serveLatest(w http.ResponseWriter, _ *http.Request) {
	latest, _ := p.now()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(latest)
}

// serveStream sends each snapshot as a server-sent event. A slow page gets the newest one only.
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
