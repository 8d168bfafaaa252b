package embedded

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// serverBinaries returns the folder that holds postgres and initdb.
func serverBinaries(ctx context.Context) (string, error) {
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil && complete(filepath.Dir(path)) {
			return filepath.Dir(path), nil
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
	} {
		found, _ := filepath.Glob(pattern)
		sort.Sort(sort.Reverse(sort.StringSlice(found))) // the newest first
		for _, dir := range found {
			if complete(dir) {
				return dir, nil
			}
		}
	}
	return download(ctx)
}

func complete(dir string) bool {
	for _, tool := range []string{"postgres", "initdb"} {
		if _, err := os.Stat(filepath.Join(dir, tool)); err != nil {
			return false
		}
	}
	return true
}

// download fetches server binaries once and keeps them. The library can only fetch by starting a server of its own, and
// as root that server's initdb refuses after the binaries are there: so the binaries decide, not the error.
func download(context.Context) (string, error) {
	root, err := downloadRoot()
	if err != nil {
		return "", err
	}
	bin := filepath.Join(root, "bin")
	if complete(bin) {
		return bin, nil
	}
	port, err := freePort()
	if err != nil {
		return "", err
	}
	scratch, err := os.MkdirTemp("", "pasdetrois-fetch-")
	if err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(scratch)
	cfg := embeddedpostgres.DefaultConfig().Version(embeddedpostgres.V17).Port(uint32(port)).Logger(io.Discard).
		BinariesPath(root).CachePath(filepath.Join(scratch, "cache")).RuntimePath(filepath.Join(scratch, "run"))
	if repository := os.Getenv("PAS_POSTGRES_REPOSITORY"); repository != "" {
		cfg = cfg.BinaryRepositoryURL(repository)
	}
	server := embeddedpostgres.NewDatabase(cfg)
	startErr := server.Start()
	if startErr == nil {
		if err := server.Stop(); err != nil {
			return "", fmt.Errorf("stop the server that came with the download: %w", err)
		}
	}
	if !complete(bin) {
		return "", fmt.Errorf("no Postgres server is installed and downloading one did not work: %w (install PostgreSQL, or set DATABASE_URL)", startErr)
	}
	return bin, nil
}

// downloadRoot is a folder that the server's user can read, which root's own cache is not.
func downloadRoot() (string, error) {
	if os.Geteuid() == 0 {
		return filepath.Join(os.TempDir(), "pasdetrois-postgres-17"), nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	return filepath.Join(cache, "pasdetrois", "postgres-17"), nil
}
