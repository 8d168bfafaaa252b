//go:build chaos

package chaos

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/platform/kafka"
)

// topics grows topics under load, and makes topics again that nobody has anything left to read in.
func (f *field) topics() error {
	for f.faults < f.size {
		topic := f.kafka.Topics()[f.rng.IntN(4)]
		if err := f.grow(topic); err != nil {
			return err
		}
		f.faulted("%s grew", topic)
		if err := f.wait(3 * time.Second); err != nil { // orders come into the new partition
			return err
		}
		if err := f.recovered("growing " + topic); err != nil {
			return err
		}
		if f.faults%4 != 2 {
			continue
		}
		topic = f.kafka.Topics()[f.rng.IntN(4)]
		if err := f.makeAgain(topic); err != nil {
			return err
		}
		if err := f.recovered("making " + topic + " again"); err != nil {
			return err
		}
	}
	return nil
}

func (f *field) grow(topic string) error {
	return f.kafka.With(f.ctx, func(c *kgo.Client, _ kadm.ListedOffsets) error {
		grown, err := kadm.NewClient(c).CreatePartitions(f.ctx, 1, topic)
		if err == nil {
			err = grown.Error()
		}
		if err != nil {
			return fmt.Errorf("grow %s: %w", topic, err)
		}
		return nil
	})
}

// makeAgain deletes a topic when all of it is read, lets customers order while there is none, and makes it again.
func (f *field) makeAgain(topic string) error {
	if err := f.shop.close(); err != nil {
		return err
	}
	err := f.drained(drainLimit)
	if err == nil {
		err = f.remove(topic)
	}
	f.say("%s is deleted", topic)
	f.shop.open(f.ctx)
	if err == nil {
		err = pause(f.ctx, f.lasting()/10)
	}
	if err == nil {
		_, err = kafka.CreateTopics(f.ctx, kafka.Config{Brokers: f.kafka.Brokers, TopicPrefix: f.kafka.Prefix}, stack.Topics(1))
	}
	return err
}

func (f *field) remove(topic string) error {
	return f.kafka.With(f.ctx, func(c *kgo.Client, _ kadm.ListedOffsets) error {
		removed, err := kadm.NewClient(c).DeleteTopics(f.ctx, topic)
		if err == nil {
			err = removed.Error()
		}
		if err != nil {
			return fmt.Errorf("delete %s: %w", topic, err)
		}
		return nil
	})
}
