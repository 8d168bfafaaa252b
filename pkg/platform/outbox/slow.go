package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// slowAfter is how long a writer may be open before the log names it. Our own writers take milliseconds.
	slowAfter = 10 * time.Second
	// logEvery is how often the log names the same writer again.
	logEvery = time.Minute
)

// SlowWriter is a transaction that writes the table and does not end. Its own messages wait for its commit. All other
// messages are published. While it is open, reads of the oldest rows read over each row that was deleted since.
type SlowWriter struct {
	PID         int32  // of its session; 0 when it is prepared
	Application string // as the session calls itself
	Role        string
	Age         time.Duration // at least
}

// Error implements error.
func (s *SlowWriter) Error() string {
	who := fmt.Sprintf("pid %d, application %q, role %q", s.PID, s.Application, s.Role)
	if s.PID == 0 {
		who = "prepared, see pg_prepared_xacts"
	}
	return fmt.Sprintf("a transaction that writes the outbox has been open for %s (%s): its own messages wait for its end, and reading the oldest message gets slower",
		s.Age.Round(time.Second), who)
}

// Passed makes it a remark: the readiness check passes, since the service works.
func (s *SlowWriter) Passed() bool { return true }

// xact_start is visible only for sessions of our own role.
const sessionSQL = `SELECT coalesce(application_name, ''), coalesce(usename::text, ''), coalesce(extract(epoch FROM clock_timestamp() - xact_start), 0)::float8
FROM pg_stat_activity WHERE pid = $1`

// watch logs the oldest writer when it is slow.
func (f *front) watch(ctx context.Context, oldest *openWriter) error {
	var slow *SlowWriter
	if oldest != nil && time.Since(oldest.since) >= slowAfter {
		slow = &SlowWriter{PID: oldest.PID}
		var age float64
		err := f.pool.QueryRow(ctx, sessionSQL, oldest.PID).Scan(&slow.Application, &slow.Role, &age)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("read the session that writes the outbox: %w", err)
		}
		slow.Age = max(time.Since(oldest.since), time.Duration(age*float64(time.Second)))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.slow = slow; slow != nil && time.Since(f.logged) >= logEvery {
		f.logged = time.Now()
		f.log.Warn(slow.Error())
	}
	return nil
}

// Check is a readiness check. It returns the SlowWriter, a remark, when there is one.
func (r *Relay) Check(context.Context) error {
	r.front.mu.Lock()
	defer r.front.mu.Unlock()
	if r.front.slow == nil {
		return nil
	}
	return r.front.slow
}
