package presence

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"time"

	"pasdetrois/pkg/platform/pgdb"
)

const (
	// answerWithin bounds one renewal: one that takes longer counts as a gap anyway.
	answerWithin = gap
	// leaveWithin bounds the deletion of the row at the end.
	leaveWithin = time.Second
)

// Successor takes the place of replicas that have died.
type Successor interface {
	// TakeOver is called with the name of a replica whose lease is over, again and again until it returns nil. It may be
	// called for a replica that lives and was only frozen or cut off.
	TakeOver(ctx context.Context, replica string) error
}

// Config configures a Presence.
type Config struct {
	// DB needs a connection of its own, which no other work holds: a renewal that has to wait looks like a death.
	DB        pgdb.Querier
	Name      string // of this replica: made by NewName
	Successor Successor
	Log       *slog.Logger
}

// Presence keeps one replica's lease and watches those of the others.
type Presence struct {
	Config
	table table
	watch watch

	takeovers sync.WaitGroup
	mu        sync.Mutex
	state     map[string]progress // of the replicas that are silent
}

// progress says how far the take-over from a silent replica is.
type progress int

const (
	underWay progress = iota + 1
	failed
	done
)

// New makes a Presence; Run begins it.
func New(cfg Config) *Presence {
	return &Presence{Config: cfg, table: stored{cfg.DB}, state: make(map[string]progress)}
}

var notInName = regexp.MustCompile(`[^A-Za-z0-9-]+`)

// NewName makes a name for a replica: the host's, so that people know which one it is, and something that no other
// process ever had.
func NewName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "host"
	}
	random := make([]byte, 4)
	_, _ = rand.Read(random) // never fails
	return fmt.Sprintf("%.40s-%s", notInName.ReplaceAllString(host, "-"), hex.EncodeToString(random))
}

// Run keeps the lease until ctx ends, and then gives it up. It never fails: without the database there is no lease, nobody
// is judged, and Kafka's own session time-out is all that is left.
func (p *Presence) Run(ctx context.Context) error {
	defer p.leave(ctx)
	defer p.takeovers.Wait()
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		p.beat(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// beat renews the lease and deals with what the others' rows say.
func (p *Presence) beat(ctx context.Context) {
	beat, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	asked := time.Now()
	rows, err := p.table.renew(beat, p.Name)
	if err != nil {
		if ctx.Err() == nil {
			p.Log.Debug("the lease of this replica was not renewed", "err", err)
		}
		return
	}
	silent, forgotten := p.watch.look(rows, asked, time.Now())
	p.takeOver(ctx, silent)
	for _, r := range forgotten {
		p.forget(beat, r)
	}
}

// takeOver begins what is due for replicas that are silent. Nothing here may hold up the next renewal.
func (p *Presence) takeOver(ctx context.Context, silent []row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	still := make(map[string]progress, len(silent))
	for _, r := range silent {
		state := p.state[r.Name]
		if state != underWay && state != done {
			first := state == 0
			state = underWay
			p.takeovers.Go(func() { p.succeed(ctx, r.Name, first) })
		}
		still[r.Name] = state
	}
	p.state = still // one that renews its lease again may die again
}

func (p *Presence) succeed(ctx context.Context, name string, first bool) {
	err := p.Successor.TakeOver(ctx, name)
	if err != nil && ctx.Err() == nil && first {
		p.Log.Warn("a replica is silent, and taking its work over failed; trying again", "replica", name, "err", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state[name] == underWay {
		if p.state[name] = done; err != nil {
			p.state[name] = failed
		}
	}
}

func (p *Presence) forget(ctx context.Context, r row) {
	if err := p.table.forget(ctx, r); err != nil && ctx.Err() == nil {
		p.Log.Debug("the row of a dead replica was not deleted", "replica", r.Name, "err", err)
	}
}

// leave gives the lease up, so that nobody takes over from a replica that has stopped in good order.
func (p *Presence) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	defer cancel()
	if err := p.table.leave(ctx, p.Name); err != nil {
		p.Log.Debug("the lease of this replica was not released", "err", err)
	}
}
