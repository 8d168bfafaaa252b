package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
)

// Component is a long-running part of a service.
type Component struct {
	Name string                          // for the log and for errors
	Run  func(ctx context.Context) error // returns nil, or ctx's error, after ctx ends; an earlier return is a failure
}

// Stages runs components in stages. All components start together. When ctx ends, or one component fails or returns early, the
// stages stop from first to last: a stage's context ends after every component of the stage before has returned. So what the
// first stage still produces is carried out by the later ones.
//
//	            ctx ends, or a failure
//	stage 1  ───────────┤ drain ├─
//	stage 2  ────────────────────┤ drain ├─
//	stage 3  ─────────────────────────────┤ drain ├─  Stages returns
//
// It returns the first failure, nil when there was none. A panic in a component is a failure that names the component. There is
// no time limit: each component bounds its own drain, or it would hold up the stages after it for ever.
func Stages(ctx context.Context, log *slog.Logger, stages ...[]Component) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	type running struct {
		cancel context.CancelFunc
		done   *sync.WaitGroup
	}
	var all []running
	var once sync.Once
	var failure error
	fail := func(err error) {
		once.Do(func() { failure = err })
		stop(err)
	}
	for _, stage := range stages {
		stageCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		r := running{cancel, &sync.WaitGroup{}}
		all = append(all, r)
		for _, c := range stage {
			r.done.Go(func() {
				err := guarded(stageCtx, c)
				switch {
				case err != nil && !(stageCtx.Err() != nil && errors.Is(err, context.Canceled)):
					err = fmt.Errorf("%s: %w", c.Name, err)
					log.Error("a component failed", "err", err)
					fail(err)
				case stageCtx.Err() == nil:
					fail(fmt.Errorf("%s: stopped by itself", c.Name))
				}
			})
		}
	}
	<-ctx.Done()
	for _, r := range all {
		r.cancel()
		r.done.Wait()
	}
	return failure
}

// guarded runs a component, and returns its panic as an error with the stack. The other stages then still drain.
func guarded(ctx context.Context, c Component) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return c.Run(ctx)
}
