package bus

import "time"

// AskEvery makes the consumer ask Kafka more often, and tell of an open transaction at once.
func (c *ConsumerConfig) AskEvery(d time.Duration) { c.askEvery = d }
