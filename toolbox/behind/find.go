package behind

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

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
	m, err := f.cfg.Kafka.Message(r)
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
