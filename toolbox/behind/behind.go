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
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/wait"
	"pasdetrois/toolbox/feed"
)

const (
	// batchSize is the number of claims that one query compares.
	batchSize = 5_000
	// findingsKept bounds the list of findings. All of them are counted.
	findingsKept = 1_000
	// progressEvery is the number of records between two calls of Progress.
	progressEvery = 500_000
	// graceEvery is the time between two readings of the rows with findings.
	graceEvery = 250 * time.Millisecond
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

// Find reads the topics from their beginning to the ends that they have now, and compares the decisions in them with the
// rows. It changes nothing and retries nothing.
func Find(ctx context.Context, cfg Config) (*Report, error) {
	conn, err := pgdb.ConnectShared(ctx, cfg.Database)
	if err != nil {
		return nil, fmt.Errorf("connect to the database of %s: %w", cfg.Service, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	f := &finder{cfg: cfg, conn: conn, book: bookOf(cfg), report: &Report{}, seen: map[uint64]bool{}, listed: map[string]int{}}
	if err := f.read(ctx); err != nil {
		return nil, err
	}
	if err := f.again(ctx); err != nil {
		return nil, err
	}
	return f.report, nil
}

// finder is the state of one Find.
type finder struct {
	cfg    Config
	conn   *pgx.Conn
	book   book
	batch  []claim
	in     map[string]bool // keys and decisions in the batch
	kept   []claim         // of the findings in the lists
	listed map[string]int  // their keys, with the index in kept
	places []*Finding      // the findings themselves
	seen   map[uint64]bool // hashes of the keys with a finding
	report *Report
}

// read compares all records.
func (f *finder) read(ctx context.Context) error {
	cfg := f.cfg.Kafka
	cfg.Topics, cfg.Start, cfg.Follow = Topics(f.cfg.Service), feed.Start{Beginning: true}, false
	source, err := feed.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer source.Close()
	f.in = map[string]bool{}
	for {
		records, err := source.Poll(ctx)
		if errors.Is(err, io.EOF) {
			return f.flush(ctx)
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return fmt.Errorf("read the decisions of %s: %w", f.cfg.Service, err)
		}
		for _, r := range records {
			if f.report.Records++; f.report.Records%progressEvery == 0 && f.cfg.Progress != nil {
				f.cfg.Progress(f.report.Records)
			}
			if err := f.add(ctx, r); err != nil {
				return err
			}
		}
	}
}

// add puts the claim of a record into the batch, and compares the batch when it is full. The services park a record that
// is no message of the contract, so it has no claim.
func (f *finder) add(ctx context.Context, r *kgo.Record) error {
	m, err := feed.Message(r)
	if err != nil {
		return nil //nolint:nilerr // it is parked
	}
	c, found := f.book.claim(m, r)
	if !found {
		return nil
	}
	same := strings.Join([]string{c.key, string(c.what), c.says, c.paid}, "\x00")
	if f.in[same] {
		return nil
	}
	f.in[same] = true
	c.at = m.Time
	if f.batch = append(f.batch, c); len(f.batch) < batchSize {
		return nil
	}
	return f.flush(ctx)
}

// flush compares the batch and begins a new one.
func (f *finder) flush(ctx context.Context) error {
	answers, err := f.compare(ctx, f.batch)
	if err != nil {
		return err
	}
	for i, a := range answers {
		f.note(f.batch[i], a)
	}
	f.batch = f.batch[:0]
	clear(f.in)
	return nil
}

func (f *finder) compare(ctx context.Context, claims []claim) ([]answer, error) {
	if len(claims) == 0 {
		return nil, nil
	}
	answers, err := f.book.compare(ctx, f.conn, claims)
	if err != nil {
		return nil, fmt.Errorf("compare the rows of %s: %w", f.cfg.Service, err)
	}
	return answers, nil
}

// note counts a finding. A key counts once, by its first finding; the list shows its latest decision.
func (f *finder) note(c claim, a answer) {
	if a.verdict == has {
		return
	}
	finding := Finding{Key: c.key, Topics: c.says, Row: a.row, At: c.at}
	if i, known := f.listed[c.key]; known {
		if c.at.After(f.kept[i].at) || c.at.Equal(f.kept[i].at) && c.says > f.kept[i].says { // order_… before notification …
			f.kept[i], *f.places[i] = c, finding
		}
		return
	}
	h := fnv.New64a()
	_, _ = io.WriteString(h, c.key)
	if f.seen[h.Sum64()] {
		return
	}
	f.seen[h.Sum64()] = true
	into := &f.report.Behind
	if a.verdict == contradicts {
		into = &f.report.Contradicts
	}
	if into.Count++; len(into.List) == findingsKept {
		return
	}
	if into.List == nil {
		into.List = make([]Finding, 0, findingsKept) // places point into it
	}
	into.List = append(into.List, finding)
	f.listed[c.key] = len(f.kept)
	f.kept = append(f.kept, c)
	f.places = append(f.places, &into.List[len(into.List)-1])
}

// again reads the rows of the findings again until none is left, for Grace. So many findings that the list has no room
// for them are no row that follows in a moment.
func (f *finder) again(ctx context.Context) error {
	for until := time.Now().Add(f.cfg.Grace); f.found() > 0 && f.found() == int64(len(f.kept)) && time.Now().Before(until); {
		if !wait.Sleep(ctx, graceEvery) {
			return ctx.Err()
		}
		claims := f.kept
		answers, err := f.compare(ctx, claims)
		if err != nil {
			return err
		}
		f.kept, f.places, f.report.Behind, f.report.Contradicts = nil, nil, Findings{}, Findings{}
		clear(f.seen)
		clear(f.listed)
		for i, a := range answers {
			f.note(claims[i], a)
		}
	}
	return nil
}

func (f *finder) found() int64 { return f.report.Behind.Count + f.report.Contradicts.Count }
