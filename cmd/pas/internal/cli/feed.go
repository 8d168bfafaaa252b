package cli

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"pasdetrois/toolbox/feed"
)

// startFlags are the flags for the start and the end of reading. Without any, reading begins with new records
// and never ends.
type startFlags struct {
	beginning, stop bool
	since           time.Duration
}

// add adds the flags to a command, not to its subcommands.
func (f *startFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.beginning, "from-beginning", false, "begin with the oldest record there is")
	cmd.Flags().DurationVar(&f.since, "since", 0, "begin with the records of the last, for example, 10m")
	cmd.Flags().BoolVar(&f.stop, "no-follow", false, "end after the last record that there is now")
}

// feed makes a reader's configuration from the flags. A topic that is named twice is read once. --since is a
// moment by the clock of this machine; Kafka compares it with the records' timestamps.
func (a *app) feed(kafka *kafkaFlags, start *startFlags, topics []string) (feed.Config, error) {
	cfg, err := a.kafka(*kafka)
	if err != nil {
		return feed.Config{}, err
	}
	if start.beginning && start.since != 0 {
		return feed.Config{}, usagef("--from-beginning and --since are both given: keep one")
	}
	if start.since < 0 {
		return feed.Config{}, usagef("--since %s is in the future: write 10m for the last ten minutes", start.since)
	}
	var distinct []string
	for _, topic := range topics {
		if !topicName.MatchString(topic) {
			return feed.Config{}, usagef("%q is no topic's name: use letters, digits, '.', '_' and '-'", topic)
		}
		if !slices.Contains(distinct, topic) {
			distinct = append(distinct, topic)
		}
	}
	from := feed.Start{Beginning: start.beginning}
	// The moment is fixed here, so that a slow connection does not shift it.
	if start.since > 0 {
		from.Since = time.Now().Add(-start.since)
	}
	return feed.Config{Kafka: cfg, Topics: distinct, Start: from, Follow: !start.stop, OpenTime: a.Patience, Waiting: a.noteWaiting}, nil
}

// noteWaiting reports records that exist but cannot be shown yet, with the reason, such as an open transaction.
func (a *app) noteWaiting(waiting []feed.Waiting) {
	for _, w := range waiting {
		a.note("%s.", w)
	}
}

// notePassed reports a record batch that was skipped because it could not be read.
func (a *app) notePassed(p feed.Passed) { a.note("%s.", p) }

// passedOver returns the end of a summary; it is "" when no batch was skipped.
func passedOver(batches int64) string {
	switch batches {
	case 0:
		return ""
	case 1:
		return " 1 batch was skipped."
	default:
		return fmt.Sprintf(" %d batches were skipped.", batches)
	}
}
