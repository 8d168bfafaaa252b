package run_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/run"
)

// stage is a component that a test directs, and what is seen of it. It ends only when the test says so.
type stage struct {
	ctx   context.Context // nil until it runs
	ended chan error
}

func (s *stage) component(name string) run.Component {
	return run.Component{Name: name, Run: func(ctx context.Context) error {
		s.ctx = ctx
		return <-s.ended
	}}
}

func (s *stage) stopping() bool { return s.ctx.Err() != nil }

// play runs three components in two stages inside a bubble: a and b first, then c.
func play(t *testing.T, test func(t *testing.T, stop func(), a, b, c *stage, result <-chan error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		stages := [3]*stage{}
		for i := range stages {
			stages[i] = &stage{ended: make(chan error, 1)}
		}
		a, b, c := stages[0], stages[1], stages[2]
		result := make(chan error, 1)
		go func() {
			result <- run.Stages(ctx, slog.New(slog.DiscardHandler), []run.Component{a.component("a"), b.component("b")},
				[]run.Component{c.component("c")})
		}()
		synctest.Wait()
		for _, s := range stages {
			require.NotNil(t, s.ctx, "all start together")
			require.False(t, s.stopping())
		}
		test(t, stop, a, b, c, result)
	})
}

func TestStagesStopOneAfterTheOther(t *testing.T) {
	t.Parallel()
	play(t, func(t *testing.T, stop func(), a, b, c *stage, result <-chan error) {
		stop()
		synctest.Wait()
		require.Equal(t, []bool{true, true, false}, []bool{a.stopping(), b.stopping(), c.stopping()})
		a.ended <- nil
		synctest.Wait()
		require.False(t, c.stopping(), "b still works, and what it makes goes through c")
		b.ended <- nil
		synctest.Wait()
		require.True(t, c.stopping())
		require.Empty(t, result)
		c.ended <- nil
		require.NoError(t, <-result)
	})
}

func TestBeingCancelledIsNoFailureOnceStopped(t *testing.T) {
	t.Parallel()
	play(t, func(t *testing.T, stop func(), a, b, c *stage, result <-chan error) {
		stop()
		for _, s := range []*stage{a, b, c} {
			synctest.Wait()
			s.ended <- context.Canceled
		}
		require.NoError(t, <-result)
	})
}

func TestOneFailureStopsEverythingInOrder(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		ends error
		says string
	}{
		"an error":                     {broken, "b: broken"},
		"returning early":              {nil, "b: stopped by itself"},
		"being cancelled by who knows": {context.Canceled, "b: context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, func(t *testing.T, _ func(), first, failing, last *stage, result <-chan error) {
				failing.ended <- c.ends
				synctest.Wait()
				require.True(t, first.stopping())
				require.False(t, last.stopping())
				first.ended <- nil
				synctest.Wait()
				require.True(t, last.stopping())
				last.ended <- nil
				require.EqualError(t, <-result, c.says)
			})
		})
	}
}

func TestAFailureOfTheLastStageStopsTheFirstOneFirst(t *testing.T) {
	t.Parallel()
	play(t, func(t *testing.T, _ func(), a, b, c *stage, result <-chan error) {
		c.ended <- errors.New("no disk")
		synctest.Wait()
		require.True(t, a.stopping())
		a.ended <- nil
		b.ended <- errors.New("could not publish") // because of the first failure
		synctest.Wait()
		require.EqualError(t, <-result, "c: no disk", "the first failure is the cause")
	})
}

func TestAFailureWhileStoppingIsAFailure(t *testing.T) {
	t.Parallel()
	play(t, func(t *testing.T, stop func(), a, b, c *stage, result <-chan error) {
		stop()
		synctest.Wait()
		a.ended <- nil
		b.ended <- errors.New("not drained")
		synctest.Wait()
		require.True(t, c.stopping())
		c.ended <- nil
		require.EqualError(t, <-result, "b: not drained")
	})
}

func TestAPanicIsAFailureThatNamesItsComponent(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	rest := false
	err := run.Stages(t.Context(), slog.New(slog.NewJSONHandler(&log, nil)),
		[]run.Component{{Name: "consumer", Run: func(context.Context) error { panic("boom") }}},
		[]run.Component{{Name: "relay", Run: func(ctx context.Context) error { <-ctx.Done(); rest = true; return nil }}})
	require.ErrorContains(t, err, "consumer: panic: boom\n")
	require.ErrorContains(t, err, "stages_test.go:")
	require.True(t, rest)
	require.Contains(t, log.String(), `"msg":"a component failed","err":"consumer: panic: boom`)
}
