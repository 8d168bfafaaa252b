package audit

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/feed"
)

// gapsNamed bounds how many partitions a note names: a retention hits all of them.
const gapsNamed = 5

// gaps are records that the topics do not show: deleted ones, those in batches too large to inflate, and those behind
// an open transaction. An order that may lack messages because of a gap is not judged by the topics; the report counts
// it as unjudged.
//
// One goroutine fills it while the topics are read. The merge uses it afterwards.
type gaps struct {
	firsts  map[position]int64     // where a partition begins whose first records were deleted; offset is 0
	since   map[position]time.Time // the time of the first record that is left in it
	passed  []string
	waiting []feed.Waiting
}

func newGaps() *gaps {
	return &gaps{firsts: map[position]int64{}, since: map[position]time.Time{}}
}

// begin keeps the first offset of each partition that does not begin at 0, and the records behind open transactions.
// The feed must be open and must not have been polled.
func (g *gaps) begin(f *feed.Feed) {
	for topic, partitions := range f.Positions() {
		for partition, first := range partitions {
			if first > 0 {
				g.firsts[position{topic, partition, 0}] = first
			}
		}
	}
	g.waiting = f.Waiting()
}

// note keeps the time of the first record of each partition that lost some. It returns at once when it has all.
func (g *gaps) note(records []*kgo.Record) {
	if len(g.since) == len(g.firsts) {
		return
	}
	for _, r := range records {
		p := position{r.Topic, r.Partition, 0}
		if _, lost := g.firsts[p]; lost && g.since[p].IsZero() {
			g.since[p] = r.Timestamp
		}
	}
}

// pass keeps a batch that the feed passed over. It explains no missing message: the report only mentions it.
func (g *gaps) pass(p feed.Passed) { g.passed = append(g.passed, p.String()) }

// explains reports whether a gap may hide messages of the order. That is so when any record waits behind an open
// transaction, and when a partition lost records and one of these holds:
//
//   - The partition has no record left, so its gap has no known end.
//   - The order is older than the first record that is left. A message is not older than its order.
//   - The topic is the one of orders and order_placed is missing. That message alone may be older than its order.
func (g *gaps) explains(o *order, s story) bool {
	if len(g.waiting) > 0 {
		return true
	}
	for p := range g.firsts {
		since, left := g.since[p]
		if !left || o.created.Before(since) || p.topic == messages.TopicOrders && s.told&placed == 0 {
			return true
		}
	}
	return false
}

// notes returns one line for each kind of gap, for the report.
func (g *gaps) notes(unjudged int64) []string {
	var notes []string
	if len(g.firsts) > 0 {
		var begin []string
		for p, first := range g.firsts {
			begin = append(begin, fmt.Sprintf("%s/%d begins at offset %d", p.topic, p.partition, first))
		}
		slices.Sort(begin)
		if more := len(begin) - gapsNamed; more > 0 {
			begin = append(begin[:gapsNamed], fmt.Sprintf("and %d more", more))
		}
		notes = append(notes, "records were deleted, by retention or by hand: "+strings.Join(begin, ", "))
	}
	for _, w := range g.waiting {
		notes = append(notes, w.String())
	}
	notes = append(notes, g.passed...)
	if unjudged > 0 {
		notes = append(notes, fmt.Sprintf("%d orders are not judged by the topics, which may lack their messages for that reason", unjudged))
	}
	return notes
}
