package replay

import (
	"context"
	"fmt"
	"strings"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/behind"
	"pasdetrois/toolbox/feed"
)

const (
	// decidedGrace is how long a row may take to follow its message: a standby may lag.
	decidedGrace = 5 * time.Second
	// contradictionsNamed bounds how many contradictions Progress names. The error counts all of them.
	contradictionsNamed = 20
)

// BehindError says that the topics have decisions that the service's database does not have: it was put back to an
// earlier moment, or is another one. A replay would decide anew, so nothing was touched.
type BehindError struct {
	Service string
	behind.Findings
}

func (e *BehindError) Error() string {
	return fmt.Sprintf("the database of %s is behind the topics: it lacks decisions that they have about %s, the first is %s",
		e.Service, counted(e.Service, e.Count), Told(e.First()))
}

// Hint names the command that makes the rows again.
func (e *BehindError) Hint() string {
	return fmt.Sprintf("nothing was touched; make the state again from the topics with `pas rebuild --service %s`", e.Service)
}

// ContradictionError says that topics and database have different decisions, and neither is ahead. Nothing was touched.
type ContradictionError struct {
	Service string
	behind.Findings
}

func (e *ContradictionError) Error() string {
	return fmt.Sprintf("the topics contradict the database of %s about %s, the first is %s", e.Service, counted(e.Service, e.Count), Told(e.First()))
}

// Hint names the two ways out.
func (e *ContradictionError) Hint() string {
	return fmt.Sprintf("nothing was touched; look at them with `pas rebuild --service %s --dry-run`, or replay them anyway with --despite-contradictions", e.Service)
}

// counted writes a number of orders, payments or notifications.
func counted(service string, n int64) string {
	if n == 1 {
		return "1 " + strings.TrimSuffix(service, "s")
	}
	return fmt.Sprintf("%d %s", n, service)
}

// Told writes a finding in words.
func Told(f behind.Finding) string {
	row := "there is no row"
	if f.Row != "" {
		row = "the row is " + f.Row
	}
	return fmt.Sprintf("%s: the topics have %s, %s", f.Key, f.Topics, row)
}

// decided makes sure that the database has every decision that the topics have. It changes nothing. Its errors are
// *BehindError, *ContradictionError, and those of Kafka and the database. It reads all topics with decisions of the
// service from their beginning, also for a replay of a part: a record of this part may be about any order.
func (r *run) decided(ctx context.Context) error {
	cfg := behind.Config{Service: r.Service, Database: r.Database, Grace: r.Grace,
		Kafka: feed.Config{Kafka: r.Kafka, Trusted: r.Trusted, OpenTime: r.OpenTime}, Progress: func(n int64) { r.step("%d messages checked", n) }}
	cfg.Kafka.Kafka.GroupPrefix = ""
	for _, g := range r.groups {
		cfg.Kafka.Kafka.TopicPrefix = strings.TrimSuffix(g.KafkaTopic, g.Topic) // the service says the whole names
		if g.Topic == messages.TopicNotifications {
			cfg.Handled = g.committed
		}
	}
	r.step("checking the decisions on the topics against the database of %s", r.Service)
	found, err := behind.Find(ctx, cfg)
	if err != nil {
		return err
	}
	for i, f := range found.Contradicts.List {
		if i == contradictionsNamed {
			r.step("and %d more", found.Contradicts.Count-contradictionsNamed)
			break
		}
		r.step("contradiction: %s", Told(f))
	}
	switch {
	case found.Behind.Count > 0:
		return &BehindError{r.Service, found.Behind}
	case found.Contradicts.Count > 0 && !r.Contradictions:
		return &ContradictionError{r.Service, found.Contradicts}
	}
	return nil
}
