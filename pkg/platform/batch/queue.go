package batch

import "time"

const (
	// longBatch is how long a batch may take before the next ones are made smaller, where waiting is bounded: the answers
	// of a batch come all at its end, and its callers do not wait for ever.
	longBatch = 800 * time.Millisecond
	// leastBatch is how small they get at most.
	leastBatch = 16
)

// Busy reports whether a call made now would be refused with ErrFull, and how long those take that wait already. It is
// always false without Within.
func (c *Batcher[In, Out]) Busy() (after time.Duration, busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy()
}

// busy is Busy with c.mu held. The next batch may always form, whatever it takes: else nobody would learn that batches have
// become faster.
func (c *Batcher[In, Out]) busy() (after time.Duration, busy bool) {
	if c.cfg.Within == 0 || c.running < c.cfg.Workers {
		return 0, false
	}
	size := c.size()
	each := c.full * time.Duration(size) / time.Duration(c.cfg.Max)
	after = each * time.Duration(len(c.queue)/size+1) / time.Duration(c.cfg.Workers)
	return after, len(c.queue) >= size && after > c.cfg.Within
}

// size returns how many calls a batch has at most.
func (c *Batcher[In, Out]) size() int {
	if c.cfg.Within == 0 || c.full <= longBatch {
		return c.cfg.Max
	}
	return max(min(leastBatch, c.cfg.Max), int(int64(c.cfg.Max)*int64(longBatch)/int64(c.full)))
}

// observe learns from a batch how long one of Max calls takes. Small batches say nothing about that.
func (c *Batcher[In, Out]) observe(calls int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if calls*2 < c.size() {
		return
	}
	full := took * time.Duration(c.cfg.Max) / time.Duration(calls)
	if c.full > 0 {
		full = c.full + (full-c.full)/4
	}
	c.full = full
}
