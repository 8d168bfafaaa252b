package app

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"pasdetrois/pkg/platform/bus"
)

// providerCalls bounds how many provider calls one batch makes at a time.
const providerCalls = 64

// errOvertaken has a message redelivered: the payment by which it was decided has changed since.
var errOvertaken = errors.New("the payment changed meanwhile")

// each runs fn for 0 … n-1, some of them at the same time, and returns the errors by index. It raises a panic of fn again on
// the caller's goroutine, where the bus recovers it.
func each(ctx context.Context, n int, fn func(ctx context.Context, i int) error) []error {
	errs := make([]error, n)
	if n == 1 {
		errs[0] = fn(ctx, 0)
		return errs
	}
	var (
		wg       sync.WaitGroup
		once     sync.Once
		panicked string
	)
	free := make(chan struct{}, providerCalls)
	for i := range n {
		free <- struct{}{}
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					once.Do(func() { panicked = fmt.Sprintf("%v\n%s", p, debug.Stack()) })
				}
				<-free
			}()
			errs[i] = fn(ctx, i)
		})
	}
	wg.Wait()
	if panicked != "" {
		panic(panicked)
	}
	return errs
}

// firstOfEachOrder returns the first entry of each order, in the order of the batch.
func firstOfEachOrder[T any](entries []T, orderID func(T) string) []T {
	seen := make(map[string]bool, len(entries))
	var firsts []T
	for _, e := range entries {
		if id := orderID(e); !seen[id] {
			seen[id] = true
			firsts = append(firsts, e)
		}
	}
	return firsts
}

func orderIDs[T any](entries []T, orderID func(T) string) []string {
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = orderID(e)
	}
	return ids
}

// failAll answers every message of a batch with the same error.
func failAll(n int, err error) []bus.Result {
	results := make([]bus.Result, n)
	for i := range results {
		results[i].Err = err
	}
	return results
}
