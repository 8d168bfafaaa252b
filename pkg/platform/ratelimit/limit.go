package ratelimit

import (
	"fmt"
	"math"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Limit is a bound for each caller. PerSecond and AtOnce make one. Safe for concurrent use.
type Limit struct {
	name, policy string
	take         func(caller string, now time.Time) taken
}

// taken is the answer to a caller that asks for one more.
type taken struct {
	ok      bool
	left    int
	whole   time.Duration // until nothing of the quota is used; 0 = unknown
	after   time.Duration // when to ask again, if not ok
	release func()        // gives the place back; nil = nothing to give back
}

// callersKept is how many callers' buckets a limit remembers. The bucket of a caller that comes back after so many others is
// full, as that of a new one: that is no advantage for a caller with one name.
const callersKept = 10_000

// PerSecond is a limit of requests a second, and of burst requests at once.
func PerSecond(name string, perSecond, burst int) *Limit {
	buckets, _ := lru.New[string, *rate.Limiter](callersKept) // fails only without room
	of := func(caller string) *rate.Limiter {
		if b, ok := buckets.Get(caller); ok {
			return b
		}
		b := rate.NewLimiter(rate.Limit(perSecond), burst)
		if other, ok, _ := buckets.PeekOrAdd(caller, b); ok {
			return other
		}
		return b
	}
	lasts := func(tokens float64) time.Duration {
		return time.Duration(tokens / float64(perSecond) * float64(time.Second))
	}
	return &Limit{name: name, policy: fmt.Sprintf("%q;q=%d;w=%d", name, burst, seconds(lasts(float64(burst)))),
		take: func(caller string, now time.Time) taken {
			b := of(caller)
			ok := b.AllowN(now, 1)
			tokens := b.TokensAt(now)
			return taken{ok: ok, left: max(0, int(tokens)), whole: lasts(float64(burst) - tokens), after: lasts(1 - tokens)}
		}}
}

// tryAgain is the pause after which a caller with too many requests in work asks again. When one of them ends cannot be foreseen.
const tryAgain = 2 * time.Second

// AtOnce is a limit of requests in work at a time.
func AtOnce(name string, most int) *Limit {
	var mu sync.Mutex
	open := make(map[string]int) // only callers with a request in work, so its size is bounded by theirs
	leave := func(caller string) {
		mu.Lock()
		defer mu.Unlock()
		if open[caller]--; open[caller] == 0 {
			delete(open, caller)
		}
	}
	return &Limit{name: name, policy: fmt.Sprintf("%q;q=%d;qu=%q", name, most, "concurrent-requests"),
		take: func(caller string, _ time.Time) taken {
			mu.Lock()
			defer mu.Unlock()
			if open[caller] >= most {
				return taken{after: tryAgain}
			}
			open[caller]++
			return taken{ok: true, left: most - open[caller], release: sync.OnceFunc(func() { leave(caller) })}
		}}
}

// seconds returns d in whole seconds, rounded up.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
