// Package migrations brings Postgres to the newest version: one schema and one login role per service.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"pasdetrois/pkg/platform/pgdb"
)

//go:embed orders/*.sql payments/*.sql notifications/*.sql
var files embed.FS

// Services returns the services that have a schema, which is also the name of their role.
func Services() []string { return []string{"orders", "payments", "notifications"} }

// Auditor is the role that reads all three schemas and writes nothing.
const Auditor = "auditor"

// Up migrates all three services in the database of adminURL (a superuser, or a role that may create roles and schemas,
// which becomes a member of the roles that it makes). Each role gets its own name as password when it is made; a role
// that exists is left as it is. Safe to run by several at a time.
func Up(ctx context.Context, adminURL string) error {
	for _, service := range Services() {
		if err := UpService(ctx, adminURL, service); err != nil {
			return err
		}
	}
	return nil
}

// UpService migrates one service, for databases apart.
func UpService(ctx context.Context, adminURL, service string) error {
	return with(ctx, adminURL, service, func(p *goose.Provider) error {
		_, err := p.Up(ctx)
		return err
	})
}

// Down takes every migration of one service back: its tables and their data are gone.
func Down(ctx context.Context, adminURL, service string) error {
	return with(ctx, adminURL, service, func(p *goose.Provider) error {
		_, err := p.DownTo(ctx, 0)
		return err
	})
}

// SetPassword gives a service's login role, or the auditor's, its password. The role is made when it is not there yet,
// so that it never has the password that Up gives. Safe to run by several at a time: the last one's password stays.
func SetPassword(ctx context.Context, adminURL, service, password string) error {
	admin, _, err := connect(ctx, adminURL)
	if err != nil {
		return err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	if _, err := admin.Exec(ctx, fmt.Sprintf(roleSQL, service)); err != nil {
		return fmt.Errorf("make role %s: %w", service, err)
	}
	var alter string
	if err := admin.QueryRow(ctx, passwordSQL, service, password).Scan(&alter); err != nil {
		return fmt.Errorf("password of role %s: %w", service, err)
	}
	for range alterTries {
		if _, err = admin.Exec(ctx, alter); !changedMeanwhile(err) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("password of role %s: %w", service, err)
	}
	return nil
}

// Each try has waited for the end of a transaction that changed the role.
const alterTries = 100

// changedMeanwhile: "tuple concurrently updated", for which Postgres has no code of its own. No advisory lock keeps
// others away: those belong to one database, and roles to the whole server.
func changedMeanwhile(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "XX000"
}

// ALTER ROLE takes no parameters, so the server quotes them.
const passwordSQL = `SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)`

// Roles belong to the whole server, so another database's migration may make them at the same moment.
const roleSQL = `
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '%[1]s') THEN
    CREATE ROLE %[1]s LOGIN PASSWORD '%[1]s';
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;`

// Who is no superuser makes a schema only for a role that it is a member of.
const schemaSQL = `
DO $$ BEGIN
  IF NOT pg_has_role('%[1]s', 'USAGE') THEN
    GRANT %[1]s TO CURRENT_USER;
  END IF;
EXCEPTION WHEN unique_violation THEN NULL;
END $$;
CREATE SCHEMA IF NOT EXISTS %[1]s AUTHORIZATION %[1]s;`

// bootstrapLock keeps two migrations of one database from making the same schema at once.
const bootstrapLock = `SELECT pg_advisory_lock(7310461)`

func connect(ctx context.Context, adminURL string) (*pgx.Conn, *pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(adminURL)
	if err != nil {
		return nil, nil, fmt.Errorf("database URL: %w", err)
	}
	cfg.ConnectTimeout = 5 * time.Second
	admin, err := pgdb.ConnectDirect(ctx, cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to migrate: %w", err)
	}
	return admin, cfg, nil
}

func with(ctx context.Context, adminURL, service string, do func(*goose.Provider) error) error {
	admin, cfg, err := connect(ctx, adminURL)
	if err != nil {
		return err
	}
	_, err = admin.Exec(ctx, bootstrapLock)
	if err == nil {
		_, err = admin.Exec(ctx, fmt.Sprintf(roleSQL+schemaSQL, service)+fmt.Sprintf(roleSQL, Auditor))
	}
	if closeErr := admin.Close(ctx); err == nil { // closing gives the lock back
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("make role and schema %s: %w", service, err)
	}

	// The role owns what its migrations make.
	db := sql.OpenDB(stdlib.GetConnector(*cfg, stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, fmt.Sprintf("SET ROLE %[1]s; SET search_path = %[1]s; SET lock_timeout = '%[2]s'", service, lockTimeout))
		return err
	})))
	defer db.Close()
	dir, err := fs.Sub(files, service)
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", service, err)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", service, err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, dir,
		goose.WithTableName(service+".goose_db_version"), goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", service, err)
	}
	for try := 1; ; try++ {
		err := do(provider)
		if err == nil {
			break
		}
		if try == lockTries || !waitedInVain(err) || !pause(ctx, lockPause) {
			return fmt.Errorf("migrate %s: %w", service, err)
		}
	}
	if err := setDefaults(ctx, db, service); err != nil {
		return fmt.Errorf("settings of role %s: %w", service, err)
	}
	return nil
}

// A migration that waits for a table has everybody else wait behind it. So it steps back after a while and tries again.
const (
	lockTimeout = "3s"
	lockPause   = time.Second
	lockTries   = 15
)

// waitedInVain reports whether a migration met another transaction. Migrations run in transactions: nothing of it stays.
func waitedInVain(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && (refused.Code == "55P03" || pgdb.OutcomeOf(err) == pgdb.Again)
}

// pause waits, and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
