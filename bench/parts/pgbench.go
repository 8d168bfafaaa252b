package parts

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"pasdetrois/bench/process"
)

//go:embed single.sql many.sql
var scripts embed.FS

// The lifecycles of an order in SQL. Both have the same transactions; one does each in a single statement,
// the other in several, as most programs do.
const (
	SingleStatement = "single.sql"
	ManyStatements  = "many.sql"
)

// ErrMissing means that a program which is not part of the repository is not installed. The figure is then
// missing.
var ErrMissing = errors.New("not installed")

// pgbenchClients is enough connections for their commits to share a write to the disk.
const pgbenchClients = "32"

// Lifecycles measures the lifecycles of an order that Postgres runs per second when only pgbench uses it. The
// database must be migrated and have the benchmark's products. It leaves the rows behind.
func Lifecycles(ctx context.Context, adminURL, script string, seconds int) (perSecond float64, err error) {
	pgbench, err := findPgbench()
	if err != nil {
		return 0, err
	}
	folder, err := os.MkdirTemp("", "pasdetrois-pgbench-")
	if err != nil {
		return 0, fmt.Errorf("pgbench: %w", err)
	}
	defer os.RemoveAll(folder)
	if err := os.CopyFS(folder, scripts); err != nil {
		return 0, fmt.Errorf("pgbench: %w", err)
	}
	// -n: no vacuum of pgbench's own tables, which do not exist here. Prepared statements, as the product uses
	// them.
	out, err := process.Run(ctx, folder, nil, pgbench, "-n", "-M", "prepared", "-c", pgbenchClients, "-j", "2",
		"-T", strconv.Itoa(seconds), "-f", script, adminURL)
	if err != nil {
		return 0, err
	}
	return readTPS(out)
}

var tps = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// readTPS finds the transactions per second in pgbench's output; one script run is one lifecycle.
func readTPS(out string) (float64, error) {
	found := tps.FindStringSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("pgbench wrote no tps: %s", out)
	}
	return strconv.ParseFloat(found[1], 64)
}

// findPgbench returns the pgbench of PATH, or the newest one in the folders in which distributions install it
// outside of PATH.
func findPgbench() (string, error) {
	if path, err := exec.LookPath("pgbench"); err == nil {
		return path, nil
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/pgbench", "/usr/pgsql-*/bin/pgbench", "/opt/homebrew/opt/postgresql*/bin/pgbench"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return slices.Max(found), nil
		}
	}
	return "", fmt.Errorf("pgbench is %w: it is one of Postgres's client programs", ErrMissing)
}
