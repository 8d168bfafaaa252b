// Package migrations brings Postgres to the newest version. Each service has a schema, a role that owns it and that nobody logs in
// with, and a role that the service logs in with and that may read and write rows.
//
//	as the admin:  bootstrap lock --> roles and schema, where missing --> hand-over from earlier versions
//	               --> the right to connect --> the runtime role's settings --> unlock
//	as the owner:  rights on tables to come --> sequences that are behind --> goose's lock --> SQL files that have not run
//	               --> grants to the auditor
//
// Everything may run again, and several programs may run it at the same time. Each SQL file is a transaction, so a migration
// that fails leaves nothing of itself.
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

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/wait"
)

//go:embed orders/*.sql payments/*.sql notifications/*.sql
var files embed.FS

// Up migrates all three services in the database of adminURL. That is a superuser's URL, or one of a role that may create
// roles and schemas. Such a role becomes a member of the schemas' owners. Each role that logs in gets its own name as password
// when it is made; a role that exists is left as it is. PUBLIC may not connect afterwards. Safe to run by several at a time.
func Up(ctx context.Context, adminURL string) error {
	var all []Roles
	for _, service := range messages.Services() {
		roles := RolesOf(service)
		if err := UpService(ctx, adminURL, service, roles); err != nil {
			return err
		}
		all = append(all, roles)
	}
	_, err := CloseDatabase(ctx, adminURL, all...)
	return err
}

// UpService migrates one service, for databases apart or roles of other names. Roles that exist are left as they are.
func UpService(ctx context.Context, adminURL, service string, roles Roles) error {
	own, err := fs.Sub(files, service)
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", service, err)
	}
	return up(ctx, adminURL, service, own, roles)
}

// UpFrom migrates a service whose migrations are elsewhere: files has its numbered SQL files. The service's name must be a
// plain SQL name, since its schema and its role have it.
func UpFrom(ctx context.Context, adminURL, service string, files fs.FS) error {
	return up(ctx, adminURL, service, files, RolesOf(service))
}

func up(ctx context.Context, adminURL, service string, files fs.FS, roles Roles) error {
	return with(ctx, adminURL, service, files, roles, func(ctx context.Context, p *goose.Provider, db *sql.DB, dir named) error {
		if _, err := moveSequences(ctx, db, service); err != nil {
			return err
		}
		if _, err := p.Up(ctx); err != nil {
			return err
		}
		if err := narrow(ctx, db, service, roles); err != nil {
			return err
		}
		return grantAgain(ctx, db, dir, service)
	})
}

// Down takes every migration of one service back: its tables and their data are gone.
func Down(ctx context.Context, adminURL, service string) error {
	own, err := fs.Sub(files, service)
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", service, err)
	}
	return with(ctx, adminURL, service, own, RolesOf(service), func(ctx context.Context, p *goose.Provider, _ *sql.DB, _ named) error {
		_, err := p.DownTo(ctx, 0)
		return err
	})
}

// prepare makes what the admin has to make before the owner migrates.
func prepare(ctx context.Context, admin *pgx.Conn, dir named, service string, roles Roles) error {
	if err := checkOwner(ctx, admin, service, roles); err != nil {
		return err
	}
	if err := makeRoles(ctx, admin, roles); err != nil {
		return err
	}
	if err := handOver(ctx, admin, dir, service, roles); err != nil {
		return err
	}
	if err := letIn(ctx, admin, roles.Runtime, roles.Auditor); err != nil {
		return err
	}
	if err := setDefaults(ctx, admin, service, roles.Runtime); err != nil {
		return fmt.Errorf("settings of role %s: %w", roles.Runtime, err)
	}
	return nil
}

// bootstrapLock keeps two migrations of one database from making the same schema at once.
const bootstrapLock = `SELECT pg_advisory_lock(7310461)`

func connect(ctx context.Context, adminURL string) (*pgx.Conn, *pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(adminURL)
	if err != nil {
		return nil, nil, fmt.Errorf("database URL: %w", err)
	}
	cfg.ConnectTimeout = 30 * time.Second
	admin, err := pgdb.ConnectDirect(ctx, cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to migrate: %w", err)
	}
	return admin, cfg, nil
}

// work is done with a service's migrations. db acts as the schema's owner; dir has the migrations with the roles' names.
type work func(ctx context.Context, p *goose.Provider, db *sql.DB, dir named) error

func with(ctx context.Context, adminURL, service string, files fs.FS, roles Roles, do work) error {
	admin, cfg, err := connect(ctx, adminURL)
	if err != nil {
		return err
	}
	dir := named{files, roles}
	_, err = admin.Exec(ctx, bootstrapLock)
	if err == nil {
		err = prepare(ctx, admin, dir, service, roles)
	}
	if closeErr := admin.Close(ctx); err == nil { // closing gives the lock back
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("make role and schema %s: %w", service, err)
	}

	// The owner owns what the migrations make.
	db := sql.OpenDB(stdlib.GetConnector(*cfg, stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, fmt.Sprintf("SET ROLE %s; SET search_path = %s; SET lock_timeout = '%s'", quoted(roles.Owner()), service, lockTimeout))
		return err
	})))
	defer db.Close()
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", service, err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, dir,
		goose.WithTableName(service+".goose_db_version"), goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", service, err)
	}
	if err := setRights(ctx, db, service, roles); err != nil {
		return fmt.Errorf("rights of role %s: %w", roles.Runtime, err)
	}
	for try := 1; ; try++ {
		err := do(ctx, provider, db, dir)
		if err == nil {
			return nil
		}
		if try == lockTries || !waitedInVain(err) || !wait.Sleep(ctx, lockPause) {
			return fmt.Errorf("migrate %s: %w", service, err)
		}
	}
}

// While a migration waits for a table, all later statements on the table wait behind it. So it gives up after lockTimeout, which
// lets them pass, and tries again.
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
