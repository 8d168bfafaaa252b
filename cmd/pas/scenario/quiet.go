package scenario

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
)

// quiet waits until nothing more can follow from the orders' records, and returns them all.
//
// A service publishes the consequences of a record before it acknowledges the record. So once every consumer
// group has committed past every record of the orders, all consequences are in Kafka. When a further read then
// finds no new record, the choreography has come to rest:
//
//	read to the end -> known records
//	all groups committed past them?   no: wait
//	read to the end again -> more?    yes: wait
//	rest
//
// This needs no waiting time, and other orders' traffic does not disturb it. An offset commit may follow an
// acknowledgement by the commit interval (0.5 s). The act must have opened its wire before it placed the
// orders; earlier records are not seen.
func (a *act) quiet(orderIDs ...string) []*kgo.Record {
	var found []*kgo.Record
	a.until(fmt.Sprintf("orders %v should come to rest", orderIDs), func(ctx context.Context) error {
		if err := a.wire.catchUp(ctx); err != nil {
			return err
		}
		known := a.wire.records(orderIDs...)
		committed, err := a.wire.committed(ctx)
		if err != nil {
			return err
		}
		for _, r := range known {
			for _, service := range messages.Consumers(r.Topic) {
				// A committed offset is the next one to read, so it must be beyond the record.
				if at := committed(service, r.Topic, r.Partition); at <= r.Offset {
					return fmt.Errorf("%s has handled %s/%d up to %d, not yet %d", service, r.Topic, r.Partition, at, r.Offset)
				}
			}
		}
		if err := a.wire.catchUp(ctx); err != nil {
			return err
		}
		if found = a.wire.records(orderIDs...); len(found) > len(known) {
			return fmt.Errorf("%d more messages came of it", len(found)-len(known))
		}
		return nil
	})
	return found
}
