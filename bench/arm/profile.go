package arm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
)

// Profile begins to take a CPU profile of every process, of some seconds, as <name>.pprof in a folder. The function that
// it returns waits for them.
func (r *RunningPas) Profile(ctx context.Context, folder string, seconds int) (wait func() error) {
	var all sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for service, addresses := range r.admin {
		for i, address := range addresses {
			all.Go(func() {
				url := fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", address, seconds)
				if err := download(ctx, url, filepath.Join(folder, replicaName(service, i)+".pprof")); err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, fmt.Errorf("profile %s: %w", service, err))
				}
			})
		}
	}
	return func() error {
		all.Wait()
		return errors.Join(errs...)
	}
}

func download(ctx context.Context, url, path string) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", answer.Status)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(f, answer.Body)
	return err
}
