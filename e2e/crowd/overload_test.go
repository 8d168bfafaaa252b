//go:build crowd

package crowd

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/bench/process"
)

// The bounds are ratios within one run, of processor time where that is possible: the load, the broker and the database have
// the same processors as the service, and what is left of them for it is a measurement, which stands in the log.
const (
	// connections of a flood. More than there is room for in work, so that most of them are refused.
	floodConnections = 3000
	// refusalShare of the processor time of an order is the most that a refusal may cost. It was a fifth to a quarter on a machine
	// with ten times the work that it can do, connecting included, and more than a half when net/http gave each refusal.
	refusalShare = 0.5
	// laterShare of what is taken in the first half of a flood is taken in the second one at least. A service that works on
	// orders whose clients have gone falls to a thousandth within 4 s.
	laterShare = 0.1
)

// spent returns the processor time that the service has used.
func (s *service) spent() time.Duration { return process.UsageOf(s.process.Process.Pid).CPU }

// Whatever is asked of it, a service goes on doing what it can, and a refusal costs little of that.
func TestGoodputStaysUnderOverload(t *testing.T) {
	s, d := start(t, "orders"), each(t)
	crowd(t.Context(), s.target(), 1000, d) // plans are made, pools are filled
	before := s.spent()
	peak := crowd(t.Context(), s.target(), 1000, d)
	report(t, "what it can do", peak)
	require.Positive(t, peak.taken())
	order := float64(s.spent()-before) / float64(peak.taken())
	can := float64(peak.taken()) / d.Seconds()
	for _, times := range []float64{3, 5} {
		before := s.spent()
		r := flood(t.Context(), s.target(), floodConnections, times*can, 2*d)
		spent := float64(s.spent() - before)
		report(t, fmt.Sprintf("%.0f times as much", times), r)
		refusal := max(0, spent-order*float64(r.taken())) / float64(max(1, len(r.refused)))
		t.Logf("  processor time of the service: %.0f us an order at the peak, %.0f us a refusal; %.0f %% of the peak's orders for each second of it",
			order/1e3, refusal/1e3, 100*float64(r.taken())*order/spent)
		s.requireAlive()
		require.Zero(t, r.other)
		require.NotEmpty(t, r.refused)
		require.Less(t, refusal, refusalShare*order, "a refusal costs little")
		first, later := halves(r.accepted, int(2*d.Seconds()))
		require.Greater(t, float64(later), laterShare*float64(first), "it goes on")
		after := crowd(t.Context(), s.target(), 1, 2*time.Second)
		report(t, "after it", after)
		require.NotEmpty(t, after.answers, "it is as before within 2 s")
	}
}

// halves returns how many orders were taken in the first half of a flood of so many seconds, and in the second one.
func halves(bySecond []int, seconds int) (first, later int) {
	for i, n := range bySecond {
		if i < seconds/2 {
			first += n
		} else {
			later += n
		}
	}
	return first, later
}
