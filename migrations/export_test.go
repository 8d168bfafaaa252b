package migrations

import (
	"context"
	"database/sql"
	"io/fs"
	"testing"

	"github.com/pressly/goose/v3"
)

const BootstrapLock = bootstrapLock

// Named returns a service's migrations as they run with roles of these names.
func Named(t *testing.T, service string, roles Roles) map[string]string {
	t.Helper()
	sub, err := fs.Sub(files, service)
	if err != nil {
		t.Fatal(err)
	}
	dir := named{sub, roles}
	texts := map[string]string{}
	names, err := fs.Glob(dir, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		texts[service+"/"+name] = string(text)
	}
	return texts
}

// UpTo migrates one service up to a version.
func UpTo(ctx context.Context, adminURL, service string, version int64) error {
	own, err := fs.Sub(files, service)
	if err != nil {
		return err
	}
	return with(ctx, adminURL, service, own, RolesOf(service), func(ctx context.Context, p *goose.Provider, _ *sql.DB, _ named) error {
		_, err := p.UpTo(ctx, version)
		return err
	})
}
