package rebuild

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/rebuild"
)

// read is a range of stories, or the error of reading it.
type read struct {
	stories []rebuild.Story
	bytes   int64
	err     error
}

// fold hands the staged stories to the state. The next range is read and decoded while the state writes.
func (r *run) fold(ctx context.Context) error {
	r.step("comparing the database with the topics")
	if informed, ok := r.State.(rebuild.Informed); ok {
		informed.Inform(r.facts())
	}
	ranges, err := r.staging.Ranges(ctx, rangeBytes)
	if err != nil {
		return err
	}
	var total, done int64
	for _, one := range ranges {
		total += one.Bytes
	}
	ctx, cancel := context.WithCancel(ctx)
	reads := make(chan read)
	defer func() {
		cancel()
		for range reads { // the reader uses the staging
		}
	}()
	go func() {
		defer close(reads)
		for _, one := range ranges {
			stories, err := r.staging.Stories(ctx, one)
			select {
			case reads <- read{stories, one.Bytes, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	r.folds = true
	for next := range reads {
		if next.err != nil {
			return next.err
		}
		for some := range slices.Chunk(next.stories, storiesAtOnce) {
			findings, err := r.State.Fold(ctx, some, !r.DryRun)
			if err != nil {
				return err
			}
			r.report.Stories += int64(len(some))
			r.note(findings, some)
		}
		done += next.bytes
		r.Progress(Progress{Done: r.report.Stories, Total: r.report.Stories * max(total, 1) / max(done, 1)})
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// Ranges that were read after the staging was emptied have too few stories.
	if err := r.lease.Renew(ctx); err != nil {
		return err
	}
	findings, err := r.State.Finish(ctx, !r.DryRun)
	r.note(findings, nil)
	return err
}

// facts are those of the partitions as they were before the first run.
func (r *run) facts() rebuild.Facts {
	f := rebuild.Facts{Committed: map[rebuild.Place]int64{}, First: map[rebuild.Place]map[string]int64{}}
	for p, at := range r.progress {
		if at.Committed != nil {
			f.Committed[p] = *at.Committed
		}
		if len(at.First) > 0 {
			f.First[p] = at.First
		}
	}
	return f
}

// note counts findings, and keeps the first record to be read again. A story counts once,
// also when several of its rows differ. The first of these findings decides between made and changed.
func (r *run) note(findings []rebuild.Finding, stories []rebuild.Story) {
	told, differs := map[string]bool{}, map[string]bool{}
	for _, f := range findings {
		story := cmp.Or(f.Story, f.Key)
		told[story] = true
		switch f.Kind {
		case rebuild.Differs:
			switch {
			case differs[story]:
			case f.Was == "":
				r.report.Made++
			default:
				r.report.Changed++
			}
			differs[story] = true
		case rebuild.Unknown:
			r.report.Unknown++
			if !f.NothingToDo() {
				r.report.ToDo++
			}
		case rebuild.Undecided:
			r.report.Undecided++
			again := f.Again
			if len(again) == 0 {
				byKey := func(s rebuild.Story, key string) int { return strings.Compare(s.Key, key) }
				if i, found := slices.BinarySearchFunc(stories, story, byKey); found {
					again = stories[i].Records
				}
			}
			for _, record := range again {
				if messages.Consumes(r.Service, record.Event.EventName()) {
					r.readAgain(rebuild.Place{Topic: record.Topic, Partition: record.Partition}, record.Offset)
				}
			}
		}
		r.Found(f)
	}
	for _, s := range stories {
		if !told[s.Key] {
			r.report.Equal++
		}
	}
}

// readAgain makes a group read the record again, and what follows it.
func (r *run) readAgain(p rebuild.Place, offset int64) {
	if first, known := r.again[p]; !known || offset < first {
		r.again[p] = offset
	}
}
