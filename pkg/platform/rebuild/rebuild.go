// Package rebuild is what a service and the tool `pas rebuild` agree on, so that the state of the service can be made again
// from the topics, over an empty or a restored database.
//
//	stage   the tool reads the topics once and keeps the records that the State wants in a table of the service's schema
//	fold    it hands them over story by story, and the State writes the state that they tell
//	finish  the State repairs what belongs to no single story: stock, sequences
//	resume  the tool moves the consumer groups back to the earliest record of which nothing was decided
//
// The topics are the record of decisions. A decision that a topic has is never made again: nothing is charged, refunded or
// sent for it. What has no decision is left to the service, which reads its records again.
package rebuild

import (
	"context"
	"strings"
	"time"

	"pasdetrois/pkg/messages"
)

// Record is one message as it stands in a topic. Topic has no prefix.
type Record struct {
	messages.Message

	Topic     string
	Partition int32
	Offset    int64
	Written   time.Time // the record's own time; with the place it tells records of a topic that was made again apart
}

// Story is all that the topics tell about one key, such as an order. Records are in the order of their Message.Time, then of
// topic, partition and offset. A message that was delivered twice is in it once, at its first place.
type Story struct {
	Key     string
	Records []Record
}

// State is the state of one service. Only Key is safe for concurrent use.
type State interface {
	// Key returns the key of the story that a message belongs to, "" when the state needs nothing of it.
	Key(m messages.Message) string
	// Fold compares the stories with the rows that exist, and returns what differs, what cannot be known, and what the
	// service must decide. With write it also makes the rows as the stories tell, in one transaction. A second call
	// with the same stories writes nothing. A row that is ahead of its story stays: its messages are still to be
	// published.
	Fold(ctx context.Context, stories []Story, write bool) ([]Finding, error)
	// Finish runs once after all stories, with the same rules.
	Finish(ctx context.Context, write bool) ([]Finding, error)
}

// Informed is a State that needs facts about the topics as a whole. Inform is called once, before the first Fold.
type Informed interface{ Inform(f Facts) }

// Place names a partition of a topic, without prefix.
type Place struct {
	Topic     string
	Partition int32
}

// Facts describe the partitions. A story does not have them.
type Facts struct {
	// Committed has the offsets up to which the service's groups had handled their topics before the rebuild. A partition
	// without a committed offset is missing.
	Committed map[Place]int64
	// First has the offset of the first record of each event that is left in a partition, if the State wanted it.
	First map[Place]map[string]int64
}

// Kind is what a finding means.
type Kind string

const (
	// Differs: the row is not what the topics tell. It is made so, or would be.
	Differs Kind = "differs"
	// Unknown: the topics do not tell enough, for example because retention has removed records. Do says what an operator can do.
	Unknown Kind = "unknown"
	// Undecided: the service has to read the story's records again, and decides.
	Undecided Kind = "undecided"
)

// Nothing begins the Do of a finding that needs no action.
const Nothing = "nothing"

// NothingToDo reports whether Do says that nothing has to be done.
func (f Finding) NothingToDo() bool { return strings.HasPrefix(f.Do, Nothing) }

// Finding is one line of the report.
type Finding struct {
	Kind Kind      `json:"kind"`
	Key  string    `json:"key"` // of the story, or the sku
	Was  string    `json:"was"` // the row in words; "" = there was none
	Is   string    `json:"is"`  // what it is made
	Why  string    `json:"why,omitempty"`
	Do   string    `json:"do,omitempty"` // what an operator does, only of Unknown; begins with Nothing when no action is needed
	At   time.Time `json:"at,omitzero"`  // of the story's first record

	// Story is the key of the story where Key is another text; "" = Key.
	Story string `json:"-"`
	// Again has the records that the service must read again. Only of Undecided; none = all of the story that it reads.
	Again []Record `json:"-"`
}
