package httpx

import (
	"math"
	"time"
)

// pressure is how many requests were answered and refused in the last seconds. Retry-After is
// computed from it: refused clients ask again, so a client that is refused now comes after them.
type pressure struct {
	second      int64 // that now counts
	now, before tally
}

type tally struct{ answered, refused int }

func (p *pressure) at(now time.Time) {
	switch second := now.Unix(); second - p.second {
	case 0:
	case 1:
		p.second, p.before, p.now = second, p.now, tally{}
	default:
		p.second, p.before, p.now = second, tally{}, tally{}
	}
}

func (p *pressure) answered(now time.Time) { p.at(now); p.now.answered++ }
func (p *pressure) refused(now time.Time)  { p.at(now); p.now.refused++ }

// backlog returns how long it takes to answer the clients that were refused in the last second.
func (p *pressure) backlog(now time.Time) time.Duration {
	p.at(now)
	of := p.before
	if of.answered == 0 {
		of = p.now
	}
	return time.Duration(float64(of.refused) / float64(max(1, of.answered)) * float64(time.Second))
}

// longest is the largest Retry-After: the load in half a minute cannot be foreseen.
const longest = 30 * time.Second

func wholeSeconds(d time.Duration) int {
	return int(math.Ceil(max(time.Second, min(d, longest)).Seconds()))
}
