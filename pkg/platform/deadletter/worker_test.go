package deadletter_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/fault"
)

func TestAReplayThatWorksEndsTheLetter(t *testing.T) {
	t.Parallel()
	w := setup(t)
	handled := make(chan messages.Record, 10)
	worker, _ := w.work(func(_ context.Context, r messages.Record) error { handled <- r; return nil })
	w.serve(worker)
	id := w.park(3)
	untouched := w.park(4)
	w.do("POST", fmt.Sprintf("/dead-letters/%d/replay", id), http.StatusAccepted)
	l := w.becomes(id, deadletter.StateReplayed)
	require.Equal(t, 1, l.Attempts)
	require.Len(t, handled, 1)
	r := <-handled
	require.True(t, r.Time.Equal(record(3).Time))
	r.Time = record(3).Time
	require.Equal(t, record(3), r, "the original record")
	require.Equal(t, deadletter.StateParked, w.letter(untouched).State)
}

func TestAReplayThatFailsParksTheLetterAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failure error
		reason  string
	}{
		"for good":       {fault.New("contradicts_state", "it is\x00 so"), "contradicts_state"},
		"for the moment": {errors.New("no broker\xff"), "not_json"}, // which says nothing new about the message
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			worker, _ := w.work(func(context.Context, messages.Record) error { return c.failure })
			id := w.park(0)
			for attempt := 1; attempt <= 2; attempt++ { // it may be tried as often as one likes
				require.NoError(t, w.Replay(t.Context(), id))
				worker.Wake()
				require.Eventually(t, func() bool {
					l := w.letter(id)
					return l.State == deadletter.StateParked && l.Attempts == attempt
				}, 30*time.Second, 5*time.Millisecond)
			}
			l := w.letter(id)
			require.Equal(t, c.reason, l.Reason)
			require.NotContains(t, l.Detail, "no JSON at all")
		})
	}
}

func TestTwoReplicasReplayALetterOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const letters = 40
	var mu sync.Mutex
	handled := map[int64]int{}
	release := make(chan struct{})
	handle := func(_ context.Context, r messages.Record) error {
		<-release // both are in work before either is done
		mu.Lock()
		defer mu.Unlock()
		handled[r.Offset]++
		return nil
	}
	ids := make([]int64, letters)
	for i := range ids {
		ids[i] = w.park(int64(i))
		require.NoError(t, w.Replay(t.Context(), ids[i]))
	}
	w.work(handle)
	w.work(handle)
	require.Eventually(t, func() bool {
		var claimed int
		require.NoError(t, w.db.QueryRow(t.Context(), `SELECT count(*) FROM dead_letters WHERE claimed_at IS NOT NULL`).Scan(&claimed))
		return claimed == 2
	}, 30*time.Second, 5*time.Millisecond)
	close(release)
	for _, id := range ids {
		require.Equal(t, 1, w.becomes(id, deadletter.StateReplayed).Attempts)
	}
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, handled, letters)
	for offset, n := range handled {
		require.Equal(t, 1, n, "offset %d", offset)
	}
}

// lapse lets the lease of the letter run out, as when its owner was stopped for a while or is gone.
func (w *world) lapse(id int64) {
	w.t.Helper()
	tag, err := w.db.Exec(w.t.Context(), `UPDATE dead_letters SET claimed_at = claimed_at - interval '2 minutes' WHERE id = $1`, id)
	require.NoError(w.t, err)
	require.EqualValues(w.t, 1, tag.RowsAffected())
}

func TestALetterWhoseOwnerIsGoneIsTakenOver(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := w.park(0)
	_, err := w.db.Exec(t.Context(), `UPDATE dead_letters SET state = 'replaying', claimed_at = now(), attempts = 1`)
	require.NoError(t, err)
	other := w.park(1)
	require.NoError(t, w.Replay(t.Context(), other))

	w.work(func(context.Context, messages.Record) error { return nil })
	w.becomes(other, deadletter.StateReplayed)
	require.Equal(t, deadletter.StateReplaying, w.letter(id).State, "somebody has it")
	w.lapse(id)
	require.Equal(t, 2, w.becomes(id, deadletter.StateReplayed).Attempts, "found without being woken")
}

func TestAnOwnerThatComesBackLateChangesNothing(t *testing.T) {
	t.Parallel()
	for _, late := range []error{nil, fault.New("contradicts_state", "late")} {
		w := setup(t)
		id := w.park(0)
		require.NoError(t, w.Replay(t.Context(), id))
		began, release := make(chan struct{}), make(chan struct{})
		_, stop := w.work(func(context.Context, messages.Record) error { close(began); <-release; return late })
		<-began
		w.lapse(id)
		took, finish := make(chan struct{}), make(chan struct{})
		w.work(func(context.Context, messages.Record) error {
			close(took)
			<-finish
			return fault.New("total_mismatch", "the newer owner's word")
		})
		<-took
		close(release)
		stop() // it has noted what it thinks
		require.Equal(t, deadletter.StateReplaying, w.letter(id).State, "the newer owner is still at it")
		close(finish)
		require.Equal(t, "total_mismatch", w.becomes(id, deadletter.StateParked).Reason)
	}
}

func TestStoppingFinishesTheReplayInWorkAndBeginsNoOther(t *testing.T) {
	t.Parallel()
	w := setup(t)
	first, second := w.park(0), w.park(1)
	require.NoError(t, w.Replay(t.Context(), first))
	require.NoError(t, w.Replay(t.Context(), second))
	began, release := make(chan context.Context, 2), make(chan struct{})
	_, stop := w.work(func(ctx context.Context, _ messages.Record) error { began <- ctx; <-release; return ctx.Err() })
	work := <-began
	deadline, bounded := work.Deadline()
	require.True(t, bounded)
	require.Less(t, time.Until(deadline), time.Minute, "below the lease")
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	require.Never(t, func() bool { return work.Err() != nil }, 50*time.Millisecond, 5*time.Millisecond)
	close(release)
	<-stopped
	require.Equal(t, deadletter.StateReplayed, w.letter(first).State)
	require.Equal(t, deadletter.StateReplaying, w.letter(second).State, "for whoever comes next")
	require.Empty(t, began)
}

func TestADatabaseErrorDoesNotEndTheWorker(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := w.park(0)
	_, err := w.db.Exec(t.Context(), `ALTER TABLE dead_letters RENAME TO away`)
	require.NoError(t, err)
	worker, _ := w.work(func(context.Context, messages.Record) error { return nil })
	require.Eventually(t, func() bool { return strings.Contains(w.said.String(), "claim a dead letter") }, 30*time.Second, 5*time.Millisecond)
	_, err = w.db.Exec(t.Context(), `ALTER TABLE away RENAME TO dead_letters`)
	require.NoError(t, err)
	require.NoError(t, w.Replay(t.Context(), id))
	worker.Wake()
	w.becomes(id, deadletter.StateReplayed)
}
