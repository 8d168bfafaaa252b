package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"

	"pasdetrois/pkg/platform/wait"
)

// downloadTimeout bounds a download of some 20 MB over a slow line, with the wait for the lock.
const downloadTimeout = 5 * time.Minute

// keptFolder returns the folder for a downloaded version. As root it is a folder that other users can read: the server runs as
// another user, who cannot read root's own cache.
func keptFolder(major string) (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/pasdetrois/postgres-" + major, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	return filepath.Join(cache, "pasdetrois", "postgres-"+major), nil
}

// download fetches server binaries once and keeps them. The folder appears whole or not at all: a lock lets one process
// download at a time, and an interrupted download leaves no folder.
//
//	kept already? --no--> lock --> kept meanwhile? --no--> fetch into a scratch folder --> rename to the kept one
//
// When ctx ends, download returns and the fetch goes on in its goroutine, which holds the lock until it is done.
func (s source) download(ctx context.Context) (string, error) {
	bin := filepath.Join(s.kept, "bin")
	if complete(bin) {
		return bin, nil
	}
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	parent := filepath.Dir(s.kept)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("make a folder for a downloaded Postgres: %w", err)
	}
	unlock, err := lock(ctx, s.kept+".lock")
	if err != nil {
		return "", fmt.Errorf("wait for another download of Postgres: %w", err)
	}
	if complete(bin) {
		unlock()
		return bin, nil
	}
	if s.log != nil {
		s.log.Info("downloading a Postgres server: none is installed, or another version is requested")
	}
	done := make(chan error, 1)
	go func() { // the library takes no context: a download that is abandoned ends with the process
		defer unlock()
		done <- s.fetch(parent)
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("no Postgres server is installed and downloading one did not work: %w (install PostgreSQL, or set DATABASE_URL)", err)
	}
	return bin, nil
}

// fetch downloads into a folder of its own and moves it to its place. The library can only fetch by starting a server as
// well, and as root that server's initdb refuses once the binaries are there: so the binaries decide, not the error.
func (s source) fetch(parent string) error {
	const scratchName = "fetch-"
	left, _ := filepath.Glob(filepath.Join(parent, scratchName+"*"))
	for _, dir := range left { // the remains of interrupted downloads; the lock is ours, so no other process uses them
		_ = os.RemoveAll(dir)
	}
	scratch, err := os.MkdirTemp(parent, scratchName)
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(scratch)
	port, err := freePort()
	if err != nil {
		return err
	}
	root := filepath.Join(scratch, "root")
	cfg := embeddedpostgres.DefaultConfig().Version(s.version).Port(uint32(port)).Logger(io.Discard).
		BinariesPath(root).CachePath(filepath.Join(scratch, "cache")).RuntimePath(filepath.Join(scratch, "run"))
	if s.repository != "" {
		cfg = cfg.BinaryRepositoryURL(s.repository)
	}
	server := embeddedpostgres.NewDatabase(cfg)
	defer http.DefaultClient.CloseIdleConnections() // of the library, which does not close them
	startErr := server.Start()
	if startErr == nil {
		if err := server.Stop(); err != nil {
			return fmt.Errorf("stop the server that came with the download: %w", err)
		}
	}
	if !complete(filepath.Join(root, "bin")) {
		return startErr
	}
	if err := readable(root); err != nil {
		return fmt.Errorf("let the server's user read what was downloaded: %w", err)
	}
	if err := os.RemoveAll(s.kept); err != nil {
		return fmt.Errorf("clear the folder of the download: %w", err)
	}
	return os.Rename(root, s.kept)
}

// readable lets every user read all files below root, and run those that their owner can run. Links are skipped: they may lead
// out of the folder.
func readable(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
}

// lock takes the lock of a file, which other processes may hold for as long as they download. The kernel releases the lock of a
// process that ends, so a crash blocks no later download. The file itself stays: removing it would let two processes lock two
// files of one name.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil // closing the file releases the lock
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || !wait.Sleep(ctx, 200*time.Millisecond) {
			return nil, errors.Join(err, ctx.Err(), file.Close())
		}
	}
}
