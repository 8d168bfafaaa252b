//go:build crash

package crash

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/e2e/programs"
	"pasdetrois/toolbox/client"
)

const (
	// The server ends a transaction that stands still after 5 s, and Kafka gives the partitions away after its session
	// time-out of 10 s. The rest is for a machine that is much slower than a usual one.
	frozenLimit = 5*time.Second + 10*time.Second + 45*time.Second
	// placedMeanwhile is how long after the freeze orders are placed that have to get through.
	placedMeanwhile = 2 * time.Second
)

// A process that stands still, as on a machine without memory or network, can neither end its transaction nor give its
// locks back.
func TestAFrozenReplicaHoldsNothingUpForLong(t *testing.T) {
	s := start(t, givenSeed(t))
	other := s.replica(t, client.Orders)

	stop, stopShopping := context.WithCancel(s.ctx)
	defer stopShopping()
	shopped := make(chan error, 1)
	go func() { shopped <- s.customers.shop(s.ctx, stop) }()
	held, err := s.freeze(other)
	require.NoError(t, err)
	frozen := time.Now()
	err = s.until(frozenLimit, "the orders go on", func() error {
		var open int
		if err := s.conn.QueryRow(s.ctx, openSinceSQL, frozen.Add(placedMeanwhile)).Scan(&open); err != nil {
			return err
		}
		if open > 0 || time.Since(frozen) < placedMeanwhile {
			return fmt.Errorf("%d orders do not get on beside a frozen transaction with %d locks", open, held)
		}
		return nil
	})
	t.Logf("orders went on %.1fs after a replica was frozen in a transaction with %d locks", time.Since(frozen).Seconds(), held)
	require.NoError(t, errors.Join(err, other.signal(syscall.SIGCONT)))

	stopShopping()
	require.NoError(t, <-shopped)
	require.NoError(t, s.settle())
	b, err := readBooks(s.ctx, s.conn, s.wire, s.mail)
	require.NoError(t, err)
	_, problems := countUp(s.customers.bought, b)
	require.Empty(t, problems)
	require.Empty(t, complaints(t, s), "what the services said beside their logs")
}

// replica starts another process of a service and waits until it is ready.
func (s *system) replica(t *testing.T, service string) *process {
	t.Helper()
	first, addresses := s.services[service], programs.FreeAddresses(t, 2)
	p := newProcess(t, service, filepath.Dir(first.path), programs.Logs(t), addresses[0], addresses[1], first.env[3:]) // without its addresses
	s.services[service+", another"] = p
	require.NoError(t, p.start())
	api := client.New(client.Endpoints{service: p.endpoint})
	t.Cleanup(api.Close)
	require.NoError(t, s.until(recoveryLimit, "another "+service+" is ready", func() error { return api.Ready(s.ctx, service) }))
	return p
}

func (p *process) signal(what syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life.Process.Signal(what)
}

const openSinceSQL = `SELECT count(*) FROM orders.audit_orders
WHERE created_at < $1 AND status IN ('pending', 'awaiting_payment', 'cancelling')`

// standingSQL finds a transaction that has locked products and has stood still for a while: only a frozen process's does.
const standingSQL = `SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE a.usename = 'orders' AND a.state = 'idle in transaction' AND a.state_change < clock_timestamp() - interval '200 ms'
  AND EXISTS (SELECT FROM pg_locks p WHERE p.pid = a.pid AND p.relation = 'orders.inventory'::regclass AND p.mode = 'RowShareLock')`

// freeze stops the process at a moment when it is inside a transaction. It returns how many locks that holds.
func (s *system) freeze(p *process) (locks int, err error) {
	err = s.until(recoveryLimit, "it is frozen in a transaction", func() error {
		if err := p.signal(syscall.SIGSTOP); err != nil {
			return err
		}
		if err := pause(s.ctx, 250*time.Millisecond); err != nil {
			return err
		}
		if err := s.conn.QueryRow(s.ctx, standingSQL).Scan(&locks); err != nil || locks > 0 {
			return err
		}
		return errors.Join(errors.New("it is between two transactions"), p.signal(syscall.SIGCONT))
	})
	return locks, err
}
