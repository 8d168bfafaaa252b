package notifications

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/services/notifications/internal/domain"
	"pasdetrois/services/notifications/internal/store"
)

// state is the notifications of one database.
type state struct {
	store *store.Rebuilt
	facts rebuild.Facts

	oldest time.Time      // of our own messages that the topic still has
	told   map[int64]bool // the pending rows that have a story
}

// NewState returns the state of notifications over a pool of its schema. It is an Informed. Without facts about the topics it takes
// no request for one that the service never read.
func NewState(pool *pgxpool.Pool) rebuild.State {
	return &state{store: store.NewRebuilt(pool), told: map[int64]bool{}}
}

// Inform implements rebuild.Informed.
func (s *state) Inform(f rebuild.Facts) { s.facts = f }

// Key implements rebuild.State: the notification that a message is about.
func (s *state) Key(m messages.Message) string { return domain.Named(m).StoryKey() }

// unrecorded reports whether the service had read a request before any outcome stood in the request's partition. An order's request
// and its outcome share the partition, because they have one key. Those of no order have none, and are on all partitions.
func (s *state) unrecorded(r rebuild.Record) bool {
	place := rebuild.Place{Topic: r.Topic, Partition: r.Partition}
	// A partition without an offset was never read, as long as the group has offsets at all.
	if len(s.facts.Committed) > 0 && r.Offset >= s.facts.Committed[place] {
		return false
	}
	for _, event := range []string{messages.EventNotificationSent, messages.EventNotificationFailed} {
		if first, ok := s.facts.First[place][event]; ok && first < r.Offset {
			return false
		}
	}
	return true
}

// Fold implements rebuild.State.
func (s *state) Fold(ctx context.Context, stories []rebuild.Story, write bool) ([]rebuild.Finding, error) {
	wanted := make([]domain.Notification, 0, len(stories))
	for _, story := range stories {
		wanted = append(wanted, domain.Named(story.Records[0].Message))
	}
	rows, err := s.store.Rows(ctx, wanted)
	if err != nil {
		return nil, err
	}
	var findings []rebuild.Finding
	var changed []domain.Notification
	for _, story := range stories {
		row := rows[story.Key]
		if row.Status == domain.Pending {
			s.told[row.ID] = true
		}
		f := domain.Fold(row, s.tell(story))
		line := rebuild.Finding{Key: story.Key, At: story.Records[0].Time}
		findings = append(findings, found(line, row, f)...)
		if f.Notification != row {
			changed = append(changed, f.Notification)
		}
	}
	if write && len(changed) > 0 {
		err = s.store.Store(ctx, changed)
	}
	return findings, err
}

func (s *state) tell(story rebuild.Story) []domain.Told {
	told := make([]domain.Told, len(story.Records))
	for i, r := range story.Records {
		told[i] = domain.Told{Message: r.Message, Unrecorded: s.unrecorded(r)}
		if slices.Contains(messages.Services(), r.Source) && (s.oldest.IsZero() || r.Time.Before(s.oldest)) {
			s.oldest = r.Time
		}
	}
	return told
}

// finishBatch is how many pending rows Finish reads at once.
const finishBatch = 1000

// Finish implements rebuild.State. A pending row of a backup may be older than all that the topic still has. Its email may have
// been sent since, so a person decides.
func (s *state) Finish(ctx context.Context, write bool) ([]rebuild.Finding, error) {
	if s.oldest.IsZero() {
		return nil, nil // the topic is new: the rows are all that there is
	}
	var findings []rebuild.Finding
	for after := int64(0); ; {
		rows, err := s.store.Pending(ctx, s.oldest, after, finishBatch)
		if err != nil || len(rows) == 0 {
			return findings, err
		}
		after = rows[len(rows)-1].ID
		var changed []domain.Notification
		for _, row := range rows {
			if s.told[row.ID] {
				continue
			}
			f := domain.Forgotten(row)
			findings = append(findings, found(rebuild.Finding{Key: row.StoryKey(), At: row.RequestedAt}, row, f)...)
			changed = append(changed, f.Notification)
		}
		if write && len(changed) > 0 {
			if err := s.store.Store(ctx, changed); err != nil {
				return findings, err
			}
		}
	}
}

// found returns the lines of the report about one notification.
func found(line rebuild.Finding, row domain.Notification, f domain.Folded) []rebuild.Finding {
	var findings []rebuild.Finding
	line.Was, line.Is = row.Words(), f.Notification.Words()
	add := func(kind rebuild.Kind, why, do string) {
		line.Kind, line.Why, line.Do = kind, why, do
		findings = append(findings, line)
	}
	if f.Notification != row {
		add(rebuild.Differs, "", "")
	}
	if f.Unknown != "" {
		add(rebuild.Unknown, f.Unknown, f.Do)
	}
	if f.Undecided != "" {
		add(rebuild.Undecided, f.Undecided, "")
	}
	return findings
}
