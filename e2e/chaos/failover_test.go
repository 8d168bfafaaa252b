//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

// moveLimit is how long after the address moved the first orders may wait.
const moveLimit = 2 * time.Second

// pair is a primary, field.db, and a standby that confirms each commit, so that a failover loses nothing. An address leads
// to the primary: all connections go through it.
type pair struct {
	*field
	standby *server
	address *testkit.Proxy
}

// pairUp gives the database a standby. From now on all connections go through the address.
func (f *field) pairUp(standbyPort int) *pair {
	f.t.Helper()
	p := &pair{field: f, standby: newServer(f.t, standbyPort)}
	require.NoError(f.t, p.rebuild())
	p.address = testkit.NewProxy(f.t, f.adminURL)
	f.adminURL = p.address.Through(f.adminURL)
	return p
}

// rebuild makes the standby anew from the primary.
func (p *pair) rebuild() error {
	if err := os.RemoveAll(filepath.Join(p.standby.dir, "pg")); err != nil {
		return fmt.Errorf("clear the standby's folder: %w", err)
	}
	if err := p.db.running.CopyTo(p.ctx, p.standby.dir); err != nil {
		return err
	}
	return p.follow()
}

// follow starts the standby and lets every commit wait for it.
func (p *pair) follow() error {
	if err := p.standby.start(p.ctx); err != nil {
		return err
	}
	// Once promoted, it must not wait for a standby of its own.
	if err := run(p.ctx, p.standby, `ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`); err != nil {
		return err
	}
	if err := run(p.ctx, p.db, `ALTER SYSTEM SET synchronous_standby_names = '*'`, `SELECT pg_reload_conf()`); err != nil {
		return err
	}
	return p.until(recoveryLimit, "the standby confirms commits", func(ctx context.Context) error {
		return run(ctx, p.db, `SELECT 1 / count(*) FROM pg_stat_replication WHERE sync_state = 'sync'`)
	})
}

func run(ctx context.Context, s *server, statements ...string) error {
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// failovers swaps primary and standby: every other time after a SIGKILL, else as it is planned.
func (f *field) failovers() error {
	for f.faults < f.size {
		if err := f.wait(3 * time.Second); err != nil {
			return err
		}
		swap, what := f.pair.killed, "the primary is killed"
		if f.faults%2 == 1 {
			swap, what = f.pair.planned, "the primary becomes the standby"
		}
		f.faulted("failover: %s", what)
		if err := swap(); err != nil {
			return err
		}
		if err := f.recovered("a failover"); err != nil {
			return err
		}
	}
	return nil
}

// killed ends the primary with SIGKILL and promotes the standby. The old server is made anew.
func (p *pair) killed() error {
	if err := p.db.kill(); err != nil {
		return err
	}
	if err := p.promote(); err != nil {
		return err
	}
	if err := p.moved(); err != nil {
		return err
	}
	return p.rebuild()
}

// planned stops the primary, promotes the standby, and starts the old server as a standby before the address moves:
// services connect to it meanwhile, and those connections stay.
func (p *pair) planned() error {
	if err := p.db.running.Stop(); err != nil {
		return err
	}
	if err := p.promote(); err != nil {
		return err
	}
	if err := p.db.running.Follow(p.standby.dir); err != nil {
		return err
	}
	if err := p.follow(); err != nil {
		return err
	}
	if err := p.wait(3 * time.Second); err != nil {
		return err
	}
	return p.moved()
}

// promote makes the standby the primary, and the old primary the standby to be.
func (p *pair) promote() error {
	if err := run(p.ctx, p.standby, `SELECT pg_promote()`); err != nil {
		return err
	}
	p.db, p.standby = p.standby, p.db
	return nil
}

// moved lets new connections lead to the primary, and measures how long it takes until orders are taken.
func (p *pair) moved() error {
	before, began := p.shop.taken(), time.Now()
	p.address.Lead(p.db.url("postgres"))
	err := p.until(recoveryLimit, "orders are taken after the move", func(context.Context) error {
		if more := p.shop.taken() - before; more < 10 {
			return fmt.Errorf("%d orders were taken", more)
		}
		return nil
	})
	took := time.Since(began)
	if err == nil && took > moveLimit {
		err = fmt.Errorf("orders were taken %.1f s after the address moved, the limit is %s", took.Seconds(), moveLimit)
	}
	p.say("orders are taken %.1f s after the address moved", took.Seconds())
	return err
}
