package batch

import "time"

const (
	// longBatch is how long a batch may take before the next batches get smaller, where waiting is bounded. All answers of a
	// batch come at its end, and its callers do not wait for ever.
	longBatch = 800 * time.Millisecond
	// leastBatch is the size that they keep at least.
	leastBatch = 16
)

// Busy reports whether a call made now would be refused with ErrFull, and how long the calls that wait will take. Without
// Config.Within it is always false.
func (c *Batcher[In, Out]) Busy() (after time.Duration, busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy()
}

// busy is Busy with c.mu held. The next batch may always form, however long it takes: only a batch shows that batches have
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

// size returns the largest number of calls in a batch now.
func (c *Batcher[In, Out]) size() int {
	if c.cfg.Within == 0 || c.full <= longBatch {
		return c.cfg.Max
	}
	return max(min(leastBatch, c.cfg.Max), int(int64(c.cfg.Max)*int64(longBatch)/int64(c.full)))
}

// observe updates the estimate for a batch of Max calls. A small batch does not change the estimate.
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
