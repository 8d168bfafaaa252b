// Package limits measures what the product stands on, without the product: Postgres alone, Kafka alone, HTTP alone. No
// arrangement of them can be faster than they are.
package limits

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
	"strings"

	"github.com/jackc/pgx/v5"

	"pasdetrois/bench/process"
)

//go:embed single.sql many.sql
var scripts embed.FS

// The lifecycles of an order in SQL.
const (
	SingleStatement = "single"
	ManyStatements  = "many"
)

// ErrMissing is returned when a program that does not belong to the repository is not installed.
var ErrMissing = errors.New("not installed")

// pgbenchClients are connections: enough for their commits to share a write to the disk.
const pgbenchClients = 32

// Lifecycles measures how many lifecycles of an order a second Postgres does when nothing but pgbench uses it. The database
// is migrated and has the benchmark's products.
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
	content, err := scripts.ReadFile(script + ".sql")
	if err != nil {
		return 0, fmt.Errorf("pgbench: %w", err)
	}
	file := filepath.Join(folder, script+".sql")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return 0, fmt.Errorf("pgbench: %w", err)
	}
	out, err := process.Run(ctx, folder, nil, pgbench, "-n", "-M", "prepared", "-c", strconv.Itoa(pgbenchClients), "-j", "2",
		"-T", strconv.Itoa(seconds), "-f", file, adminURL)
	if err != nil {
		return 0, err
	}
	return readTPS(out)
}

// variable is one of pgbench's in a script.
var variable = regexp.MustCompile(`:(id|sku)\b`)

// Once runs one lifecycle without pgbench.
func Once(ctx context.Context, adminURL, script string, id, sku int) error {
	content, err := scripts.ReadFile(script + ".sql")
	if err != nil {
		return fmt.Errorf("run the lifecycle: %w", err)
	}
	var sql strings.Builder
	for line := range strings.Lines(string(content)) {
		if !strings.HasPrefix(line, `\set`) {
			sql.WriteString(line)
		}
	}
	text := variable.ReplaceAllStringFunc(sql.String(), func(name string) string {
		if name == ":id" {
			return strconv.Itoa(id)
		}
		return strconv.Itoa(sku)
	})
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return fmt.Errorf("run the lifecycle: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.PgConn().Exec(ctx, text).ReadAll(); err != nil {
		return fmt.Errorf("run the lifecycle: %w", err)
	}
	return nil
}

var tps = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

func readTPS(out string) (float64, error) {
	found := tps.FindStringSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("pgbench wrote no tps: %s", out)
	}
	return strconv.ParseFloat(found[1], 64)
}

func findPgbench() (string, error) {
	if path, err := exec.LookPath("pgbench"); err == nil {
		return path, nil
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/pgbench", "/usr/pgsql-*/bin/pgbench", "/opt/homebrew/opt/postgresql*/bin/pgbench"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return slices.Max(found), nil
		}
	}
	return "", fmt.Errorf("pgbench is %w: it comes with Postgres's client programs", ErrMissing)
}
