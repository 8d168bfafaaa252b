package rebuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/erasure"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/toolbox/hint"
	toolkafka "pasdetrois/toolbox/kafka"
)

// warnTime bounds the look for a rebuild that is not complete.
const warnTime = 5 * time.Second

// openTime is the default of Config.OpenTime.
const openTime = 30 * time.Second

const (
	// flushBytes is how much is staged in one transaction. Twice as much is in memory.
	flushBytes = 24 << 20
	// rangeBytes is how much of the staged records is read at once: about a thousand orders. Twice as much is in memory.
	rangeBytes = 4 << 20
	// storiesAtOnce bounds one Fold.
	storiesAtOnce = 1000
)

// Config names the service and its parts.
type Config struct {
	Service string
	Kafka   kafka.Config
	Pool    *pgxpool.Pool // of Open
	State   rebuild.State
	DryRun  bool // compare only
	// Trusted keys must have signed the events that the contract says are signed; nil = unsigned ones are believed as well.
	Trusted *signing.Keys
	Erasing erasure.Keys // of the service, to find erased users; it needs none while nobody was erased
	// OpenTime bounds each wait for an answer of Kafka; 0 = 30 s.
	OpenTime time.Duration
	// Found is called for each finding. It may be nil.
	Found func(rebuild.Finding)
	// Progress is called a few times a second. It may be nil.
	Progress func(Progress)

	flushBytes int // for tests; 0 = flushBytes
}

// Progress is how far a rebuild is.
type Progress struct {
	Step        string // the step that begins now; "" = no new step
	Done, Total int64  // records while it reads, stories while it folds
}

// Moved is a partition of a consumer group that reads some records again.
type Moved struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"` // the committed offset
	To        int64  `json:"to"`   // the offset of the first record that is read again
}

// Report is what a rebuild did, or a dry run would do.
type Report struct {
	Service   string        `json:"service"`
	DryRun    bool          `json:"dry_run"`
	Records   int64         `json:"records"` // that this run read
	Resumed   bool          `json:"resumed"` // an earlier run that was ended had staged the others
	Stories   int64         `json:"stories"`
	Made      int64         `json:"made"`    // stories without a row, and rows of no story
	Changed   int64         `json:"changed"` // stories whose row differed, and rows of no story, such as stock
	Equal     int64         `json:"equal"`   // stories without a finding
	Unknown   int64         `json:"unknown"`
	ToDo      int64         `json:"to_do"` // unknown things about which a person has something to do
	Undecided int64         `json:"undecided"`
	Moved     []Moved       `json:"moved"`
	Notes     []string      `json:"notes"` // what the topics do not have any more
	Reading   time.Duration `json:"-"`
	Folding   time.Duration `json:"-"`
	Took      time.Duration `json:"-"`
}

// Run rebuilds. An error comes with a report only after the fold began: the state is then partly made, and must be rebuilt
// again before the service starts.
//
// The typed errors are *DatabaseError, *BusyError, *RunsError, *LostError, *MembersError, *WaitingError, *feed.UnknownTopicError and *feed.RemadeError.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Found == nil {
		cfg.Found = func(rebuild.Finding) {}
	}
	if cfg.Progress == nil {
		cfg.Progress = func(Progress) {}
	}
	cfg.OpenTime = cmp.Or(cfg.OpenTime, openTime)
	cfg.flushBytes = cmp.Or(cfg.flushBytes, flushBytes)
	r := &run{Config: cfg, began: time.Now(), again: map[rebuild.Place]int64{},
		report: &Report{Service: cfg.Service, DryRun: cfg.DryRun, Moved: []Moved{}, Notes: []string{}}}
	err := r.run(ctx)
	r.report.Took = time.Since(r.began)
	if err != nil {
		err = toolkafka.Explain(cfg.Kafka, hint.Server(err))
		if !r.folds {
			return nil, r.warn(ctx, err)
		}
		if !cfg.DryRun {
			err = hint.Add(err, "the rebuild is not complete: run it again before you start %s", cfg.Service)
		}
	}
	return r.report, err
}

// warn adds to an error that came before the fold that a rebuild was begun and is not complete. Perhaps it had begun to fold.
func (r *run) warn(ctx context.Context, err error) error {
	var busy *BusyError
	if errors.As(err, &busy) {
		return err // that one may complete it
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), warnTime)
	defer cancel()
	begun, beginErr := rebuild.Begun(ctx, r.Pool)
	if beginErr != nil || !begun {
		return err
	}
	do := fmt.Sprintf("a rebuild of %s was begun and is not complete: run it again before you start %[1]s", r.Service)
	if first := hint.Of(err); first != "" {
		do = first + "; " + do
	}
	return hint.Add(err, "%s", do)
}

// run is the state of one Run.
type run struct {
	Config
	began      time.Time
	brokers    *brokers
	lease      *rebuild.Lease
	staging    *rebuild.Staging
	ids        map[string]string // of the topics
	total      int64             // records to read
	unreadable []messages.Record // that may have no dead letter
	progress   map[rebuild.Place]rebuild.Progress
	again      map[rebuild.Place]int64 // the first record to be read again
	folds      bool
	report     *Report
}

func (r *run) step(format string, args ...any) {
	r.Progress(Progress{Step: fmt.Sprintf(format, args...)})
}

func (r *run) run(ctx context.Context) error {
	if err := checkDatabase(ctx, r.Pool, r.Service); err != nil {
		return err
	}
	if err := r.keepErased(ctx); err != nil {
		return err
	}
	var err error
	if r.brokers, err = connect(ctx, r.Kafka, r.OpenTime); err != nil {
		return err
	}
	defer r.brokers.close()
	if err := r.brokers.empty(ctx, r.Service); err != nil {
		return err
	}
	var held context.Context
	if r.lease, held, err = rebuild.Take(ctx, r.Pool); err != nil {
		return r.refused(err)
	}
	defer r.lease.Give()
	err = r.do(held)
	if cause := context.Cause(held); err != nil && cause != nil && ctx.Err() == nil {
		return r.refused(cause)
	}
	return r.refused(err)
}

// do runs while the lease is held.
func (r *run) do(ctx context.Context) error {
	var err error
	if r.staging, err = rebuild.NewStaging(r.lease, r.Trusted); err != nil {
		return err
	}
	defer r.staging.Close()
	began := time.Now()
	if err := r.stage(ctx); err != nil {
		return err
	}
	r.report.Reading = time.Since(began)
	began = time.Now()
	if err := r.fold(ctx); err != nil {
		return err
	}
	r.report.Folding = time.Since(began)
	if err := r.lease.Renew(ctx); err != nil {
		return err
	}
	if err := r.resume(ctx); err != nil {
		return err
	}
	return r.staging.Clear(ctx)
}

// refused turns an error of the lease into one that names the service.
func (r *run) refused(err error) error {
	var busy *rebuild.BusyError
	var alive *rebuild.AliveError
	var lost *rebuild.LostError
	switch {
	case errors.As(err, &lost):
		return &LostError{Service: r.Service}
	case errors.As(err, &busy):
		return &BusyError{Service: r.Service, Holder: busy.Holder}
	case errors.As(err, &alive):
		return &RunsError{Service: r.Service, Replica: alive.Replica}
	}
	return err
}
