//go:build crash

package crash

import (
	"context"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

const (
	takeoverRate = 100 // orders a second
	// takeoverGoal is how long the partitions of a killed replica may stand still on a machine with time to spare.
	takeoverGoal = 3 * time.Second
	// takeoverLimit is what a busy machine is given. Kafka alone takes 10 s to notice.
	takeoverLimit = 6 * time.Second
	// busyTries is how often a busy machine may try to stay within the limit. Work that waits for Kafka never does.
	busyTries = 3
	// watched is how long after a kill orders are looked at: each of them has to pass, whenever it does.
	watched = 3500 * time.Millisecond
)

// blowKind is which replicas are killed at the same moment.
type blowKind struct {
	name     string
	services []string
	alone    bool // no other replica of the service is left: it is started again at once
}

func blowKinds() []blowKind {
	return []blowKind{
		{"one of each", messages.Services(), false},
		{"all of payments", []string{client.Payments}, true},
		{"one of orders", []string{client.Orders}, false},
		{"one of payments", []string{client.Payments}, false},
		{"one of notifications", []string{client.Notifications}, false},
	}
}

// TestTheWorkOfAKilledReplicaGoesOnWithinSeconds kills replicas under load. CRASH_TAKEOVERS=n plays every round n times and
// holds all of them to the goal.
func TestTheWorkOfAKilledReplicaGoesOnWithinSeconds(t *testing.T) {
	times, rounds, limit := 1, blowKinds()[:2], takeoverLimit
	if given := os.Getenv("CRASH_TAKEOVERS"); given != "" {
		var err error
		times, err = strconv.Atoi(given)
		require.NoError(t, err, "CRASH_TAKEOVERS")
		rounds, limit = blowKinds(), takeoverGoal
	}
	r := startReplicas(t, time.Duration(times)*3*time.Minute+busyTries*time.Minute)
	stop, stopLoad := context.WithCancel(r.ctx)
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		r.load(stop, takeoverRate)
	}()
	defer func() {
		stopLoad()
		<-loaded
	}()

	worst := map[string][]time.Duration{}
	// play kills the replicas of a round, and returns how long the slowest order took around that moment.
	play := func(round blowKind, n int) time.Duration {
		victim := n % replicasOfEach
		r.door.Store(int64(1 - victim))
		require.NoError(t, pause(r.ctx, time.Second+time.Duration(n*97%500)*time.Millisecond))
		at := time.Now()
		var dead []*process
		for _, name := range round.services {
			p := r.services[name][victim]
			require.NoError(t, p.end())
			if round.alone {
				require.NoError(t, r.services[name][1-victim].end())
				require.NoError(t, p.start())
				p = r.services[name][1-victim]
			}
			dead = append(dead, p)
		}
		took, orders, err := r.slowest(at.Add(-500*time.Millisecond), at.Add(watched))
		require.NoError(t, err)
		t.Logf("killed %-22s %5.2fs for the slowest of %d orders", round.name+":", took.Seconds(), orders)
		for _, p := range dead {
			require.NoError(t, p.start())
		}
		require.NoError(t, r.balanced())
		return took
	}
	for n := range times {
		for _, round := range rounds {
			took := play(round, n)
			for try := 1; limit == takeoverLimit && took >= limit && try < busyTries; try++ {
				took = min(took, play(round, n+try))
			}
			worst[round.name] = append(worst[round.name], took)
		}
	}
	for _, round := range rounds {
		all := worst[round.name]
		slices.Sort(all)
		t.Logf("%-22s %d times: median %.2fs, slowest %.2fs", round.name, len(all), all[len(all)/2].Seconds(), all[len(all)-1].Seconds())
		require.Less(t, all[len(all)-1], limit, "killed "+round.name)
	}
}
