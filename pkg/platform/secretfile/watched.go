package secretfile

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookEvery is the shortest time between two looks at a file.
const lookEvery = time.Second

// Watched is the parsed content of some files, read again when one of them changes. A content that cannot be read or parsed is
// logged, and the earlier one stays: a half-written file must not lock everybody out. So a secret is revoked by writing another
// one, and not by deleting the file. Safe for concurrent use.
type Watched[T any] struct {
	paths []string
	parse func() (T, error)
	log   *slog.Logger

	mu     sync.Mutex
	looked time.Time
	seen   []os.FileInfo // when value was read
	failed string        // the last failure since, "" when there was none
	value  T
}

// Watch calls parse, which reads the files at paths, now and after each change of one of them. Its first error is returned.
func Watch[T any](log *slog.Logger, parse func() (T, error), paths ...string) (*Watched[T], error) {
	w := &Watched[T]{paths: paths, parse: parse, log: log, looked: time.Now()}
	w.seen = w.look()
	var err error
	w.value, err = parse()
	return w, err
}

// Get returns the value of the present content. At most once a second it looks whether a file has changed.
func (w *Watched[T]) Get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); now.Sub(w.looked) >= lookEvery {
		w.looked = now
		w.again()
	}
	return w.value
}

// again reads the files anew when one of them has changed. The look comes before the read: a change in between is found by the
// next look.
func (w *Watched[T]) again() {
	seen := w.look()
	if !changed(w.seen, seen) {
		w.failed = ""
		return
	}
	value, err := w.parse()
	if err != nil { // it may pass, so the next look tries again
		if w.failed == err.Error() {
			return
		}
		w.failed = err.Error()
		w.log.Error(fmt.Sprintf("%s has changed and cannot be used: the content before stays in use", w.paths[0]), "err", err)
		return
	}
	w.value, w.seen, w.failed = value, seen, ""
	w.log.Info(w.paths[0] + " has changed and was read again")
}

func (w *Watched[T]) look() []os.FileInfo {
	seen := make([]os.FileInfo, len(w.paths))
	for i, path := range w.paths {
		seen[i], _ = os.Stat(path) // through links: kubelet exchanges the folder that they lead to
	}
	return seen
}

func changed(before, now []os.FileInfo) bool {
	for i, a := range before {
		b := now[i]
		if (a == nil) != (b == nil) || a != nil && (!os.SameFile(a, b) || a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime()) || a.Mode() != b.Mode()) {
			return true
		}
	}
	return false
}
