// Package behind compares the decisions that the topics have with the rows of one service's database.
//
// A service publishes a decision after its commit. So a decision on a topic whose row does not have it means that the
// database was put back to an earlier moment, or is another one. Such a service would decide anew.
//
// # Verdicts
//
//	has          the row is where the decision led it, or further
//	behind       there is no row, or the row has not come so far
//	contradicts  the row ended in another way
//
// An order or a payment that retention has removed counts as one that has the decision.
//
// A row that is ahead of the topics is no finding: its message is still to be published.
//
// # Order of reading
//
//	ends of the topics ── records ── rows of these records
//
// A row is read after its record, so the database can only be newer than the decision. Two cases remain: a standby that
// lags, and an email whose event is published just before its row is settled. Find therefore reads the rows of its
// findings again for Config.Grace.
//
// # Memory
//
// Records are compared in batches, so memory does not grow with the topics. It grows by 8 bytes for each key with a
// finding, since a key counts once.
package behind

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/feed"
)

// Config names the service, its topics and its database.
type Config struct {
	Service  string
	Kafka    feed.Config // with the names and credentials of Kafka; Find sets the fields Topics, Start and Follow of a copy
	Database string      // URL of a role that may read the views audit_... of the service
	// Handled has, by partition, the offset of topic notifications up to which notifications has handled the records.
	// The other services need none.
	Handled map[int32]int64
	// Grace is how long a row may take to follow its record.
	Grace time.Duration
	// Progress receives the number of records read so far. It may be nil.
	Progress func(records int64)
}

// Finding is one key, such as an order, of which the topics say more than its row, or something else.
type Finding struct {
	Key    string    `json:"key"`
	Topics string    `json:"topics"`   // the decision on the topics, in words
	Row    string    `json:"database"` // the row in words; "" = there is none
	At     time.Time `json:"at"`       // of the decision
}

// Findings counts keys with one verdict.
type Findings struct {
	Count int64     `json:"count"`
	List  []Finding `json:"list"` // of the first 1,000 keys
}

// First returns the finding of the list whose decision is the earliest. There must be one.
func (f Findings) First() Finding {
	return slices.MinFunc(f.List, func(a, b Finding) int { return a.At.Compare(b.At) })
}

// Report is the result of Find.
type Report struct {
	Records     int64    `json:"records"` // that were read
	Behind      Findings `json:"behind"`
	Contradicts Findings `json:"contradicts"`
}

// Topics returns the topics, without prefix, that have decisions of the service.
func Topics(service string) []string {
	switch service {
	case messages.ServiceOrders: // all: notifications have the outcomes that older versions published
		return messages.TopicNames()
	case messages.ServicePayments:
		return []string{messages.TopicPayments, messages.TopicOrderFailures}
	default:
		return []string{messages.TopicNotifications}
	}
}

// verdict is the result of comparing one claim with its row.
type verdict int

const (
	has verdict = iota
	isBehind
	contradicts
)

// claim is the decision that one record has.
type claim struct {
	key   string // in the report; claims of one key and one decision are equal
	about string // the key of the row
	what  decision
	says  string // in words
	paid  string // the payment's id, of captured payments
	at    time.Time

	kind, message string      // of a notification
	record        *kgo.Record // of its request
}

// decision is a name for what a claim asks of its row. Each service has its own.
type decision string

// answer is the verdict about a claim, and the row in words.
type answer struct {
	verdict verdict
	row     string
}

// book knows the decisions of one service and compares them with its rows.
type book interface {
	// claim returns the decision that a record has, and false for a record without one.
	claim(m messages.Message, r *kgo.Record) (claim, bool)
	// compare reads the rows of the claims and judges each claim.
	compare(ctx context.Context, conn *pgx.Conn, claims []claim) ([]answer, error)
}

func bookOf(cfg Config) book {
	switch cfg.Service {
	case messages.ServiceOrders:
		return orders{}
	case messages.ServicePayments:
		return payments{}
	default:
		return &notifications{handled: cfg.Handled, begun: map[int32]bool{}}
	}
}
