package bus

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"runtime/debug"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"

	"pasdetrois/pkg/platform/batch"
	"pasdetrois/pkg/platform/fault"
)

const (
	// panicsUntilParked is the number of panics of one record that make a permanent error. One panic may come from a passing
	// state; a record that always panics must not hold up its lane for ever.
	panicsUntilParked = 3
	reasonPanic       = "panic"

	// One cycle of retries takes about three seconds: the pauses double from firstRetry on, up to lastRetry. Then the message is
	// redelivered, and the next cycle begins.
	retriesPerCycle = 5
	firstRetry      = 100 * time.Millisecond
	lastRetry       = 2 * time.Second

	// parkTimeout bounds the storing of one dead letter. After it the record is held up and tried again.
	parkTimeout = 10 * time.Second
)

// chain is the router's middleware, outermost first. The order matters:
//
//	gate      counts records in work, so all else is inside it
//	park      turns a permanent error into an acknowledgement, so only the gate is outside
//	telemetry measures the message, retries included
//	recover   turns a panic into an error, so all that handle errors are outside
//	retry     repeats a transient failure in place
//	timeout   bounds one attempt, so it is inside of retry
func (c *Consumer) chain() []message.HandlerMiddleware {
	return []message.HandlerMiddleware{
		c.claims.Admit,
		c.parking,
		c.telemetry,
		recovering,
		c.retrying,
		middleware.Timeout(c.cfg.HandleTimeout),
	}
}

// parking acknowledges a record that can never succeed, after it is stored as a dead letter. Storing outlives a shutdown:
// a record that is half parked would be lost or doubled. When storing fails, the record is held up and retried.
//
//	no error    acknowledged
//	permanent   stored as a dead letter, then acknowledged
//	panic       as transient; the third of one record as permanent
//	cancelled   not acknowledged, no log line: the drain or the loss of the partition is the cause
//	transient   not acknowledged, held up; a warning while no other lane is held up, else a debug line
func (c *Consumer) parking(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		cl := c.claims.Of(msg)
		out, err := next(msg)
		if err == nil {
			c.claims.Freed(cl)
			return out, nil
		}
		r, event := cl.Read()
		log := c.log.With("event", event, "topic", r.Topic, "partition", r.Partition, "offset", r.Offset)
		var stack string
		var p *panicError
		if errors.As(err, &p) {
			stack = p.stack
			if cl.Panicked() >= panicsUntilParked {
				err = fault.Wrap(reasonPanic, err)
			}
		}
		switch fault.KindOf(err) {
		case fault.Permanent:
			ctx, cancel := context.WithTimeout(context.WithoutCancel(msg.Context()), parkTimeout)
			defer cancel()
			reason := fault.Reason(err)
			if parkErr := c.cfg.Parker.Park(ctx, r, reason, err.Error(), stack); parkErr != nil {
				log.Warn("could not park, retrying", "err", parkErr)
				c.claims.HeldUp(cl, r, parkErr)
				return nil, parkErr
			}
			log.Warn("parked", "status", reason, "err", err)
			c.claims.Freed(cl)
			return nil, nil
		case fault.Cancelled:
			return nil, err
		default:
			if !cl.Lost() {
				level := slog.LevelDebug
				if c.claims.HeldUp(cl, r, err) {
					level = slog.LevelWarn
				}
				log.Log(msg.Context(), level, "not handled, retrying", "err", err)
			}
			return nil, err
		}
	}
}

// retrying repeats a transient failure in place while the partition is ours and the drain has not begun.
func (c *Consumer) retrying(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		cl := c.claims.Of(msg)
		return middleware.Retry{
			MaxRetries: retriesPerCycle,
			// Mended, of watermill 1.5.3: the middleware grows the pause twice for each attempt, once for ShouldRetry. With the
			// square root of two, the pause doubles. It can go when the middleware grows the pause once.
			InitialInterval:     firstRetry * 100 / 141,
			MaxInterval:         lastRetry,
			Multiplier:          math.Sqrt2,
			RandomizationFactor: 0.2,
			ResetContextOnRetry: true,
			ShouldRetry: func(p middleware.RetryParams) bool {
				c.metrics.failed[fault.KindOf(p.Err)].Inc()
				return fault.KindOf(p.Err) == fault.Transient && !cl.Lost() && !c.claims.Draining()
			},
		}.Middleware(next)(msg)
	}
}

// telemetry observes the time and the result of a message, with all retries of this cycle. The event is read after next,
// because dispatch sets it.
func (c *Consumer) telemetry(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		begin := time.Now()
		out, err := next(msg)
		_, event := c.claims.Of(msg).Read()
		m := c.metrics.of(event)
		m.seconds.Observe(time.Since(begin).Seconds())
		if err != nil {
			m.results[fault.KindOf(err)].Inc()
		} else {
			m.ok.Inc()
		}
		return out, err
	}
}

// panicError is a recovered panic. Its text has the value only if that is an error or a string; the stack goes to the dead
// letter and not into the text.
type panicError struct {
	value any
	stack string
}

func (e *panicError) Error() string {
	if err, ok := e.value.(error); ok {
		return "panic: " + err.Error()
	}
	if s, ok := e.value.(string); ok {
		return "panic: " + s
	}
	return "panic"
}

// recovering returns a panic of next as a panicError. A panic within a batch comes from another goroutine, so batch.Panic brings
// the stack of that goroutine with it.
func recovering(next message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) (out []*message.Message, err error) {
		defer func() {
			switch v := recover().(type) {
			case nil:
			case *batch.Panic:
				out, err = nil, &panicError{value: v.Value, stack: v.Stack}
			default:
				out, err = nil, &panicError{value: v, stack: string(debug.Stack())}
			}
		}()
		return next(msg)
	}
}
