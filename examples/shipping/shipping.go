// Package shipping is a fourth service, as an example: it ships confirmed orders. docs/extending.md follows its files.
package shipping

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/examples/shipping/internal/app"
	"pasdetrois/examples/shipping/internal/httpapi"
	"pasdetrois/examples/shipping/internal/store"
	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/pkg/platform/service"
	"pasdetrois/pkg/platform/wait"
)

const name = "shipping"

// Config has everything that can be set.
type Config struct {
	service.Base
	PackingTime time.Duration `env:"PACKING_TIME" envDefault:"10s" desc:"how long a parcel is packed before it leaves"`
	AdminURL    string        `env:"DATABASE_ADMIN_URL" desc:"Postgres URL of a role that may create roles and schemas; when set, the schema is migrated at start"`
}

// SetDefaults sets what has no default in a tag.
func (c *Config) SetDefaults() { c.HTTPAddr, c.AdminAddr = "127.0.0.1:8086", "127.0.0.1:9086" }

// Validate returns all problems joined.
func (c Config) Validate() error {
	return errors.Join(c.Base.Validate(), service.Positive("PACKING_TIME", c.PackingTime))
}

//go:embed migrations/*.sql
var files embed.FS

// Migrate makes the role and the schema of the service, and brings the schema to the newest version. adminURL is of a role
// that may create roles and schemas.
func Migrate(ctx context.Context, adminURL string) error {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		return err
	}
	return migrations.UpFrom(ctx, adminURL, name, sub)
}

// Run runs the service until ctx ends, then lets work that has begun finish.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	if cfg.AdminURL != "" {
		for err := Migrate(ctx, cfg.AdminURL); err != nil; err = Migrate(ctx, cfg.AdminURL) {
			if !pgdb.IsUnavailable(err) {
				return err
			}
			log.Info("waiting for Postgres to migrate the schema", "err", err)
			if !wait.Sleep(ctx, time.Second) {
				return nil
			}
		}
	}
	shell, err := service.Open(cfg.Base, service.Identity{Name: name, Version: "1.0.0", Publishes: true}, log)
	if err != nil {
		return err
	}
	defer shell.Close()
	shipments := app.New(store.New(shell.DB), cfg.PackingTime, time.Now)
	return shell.Run(ctx, service.Parts{
		Handlers: shipments.Table(),
		Public: service.API{About: "Where the parcel of an order is.",
			Register: func(api huma.API) { httpapi.Register(api, shipments, log) }},
		Admin: service.API{About: "What shipping consumes, and messages that it could not handle."},
		Loops: []run.Component{service.Sweepers(time.Second, log, service.Sweep{Name: "packed parcels", Run: shipments.ShipDue})},
	})
}
