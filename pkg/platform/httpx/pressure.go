package httpx

import (
	"math"
	"time"
)

// pressure counts the requests that were answered and refused in this second and the last one. Retry-After is computed from
// it: refused clients ask again, so a client that is refused now comes after them. crowd.mu guards it.
type pressure struct {
	second      int64 // Unix time of the tally now; before is that of the second before it
	now, before tally
}

type tally struct{ answered, refused int }

// at moves the tallies on to the second of now. After a gap of more than a second both are empty: old load says nothing.
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

// backlog returns the time for answering the clients that were refused in the last second, at that second's rate of answers.
// Without an answer in that second it uses the current one.
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

// wholeSeconds returns d as a Retry-After, rounded up, from 1 to longest: 0 would make a refused client ask again at once.
func wholeSeconds(d time.Duration) int {
	return int(math.Ceil(max(time.Second, min(d, longest)).Seconds()))
}
