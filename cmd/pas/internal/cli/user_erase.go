package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/erasure"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/wait"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/hint"
)

// userErase makes `pas user erase`. It asks all services before it changes any.
func (a *app) userErase() *cobra.Command {
	at := &kafkaFlags{}
	var yes, dryRun bool
	cmd := &cobra.Command{
		Use:   "erase USER",
		Short: "Replace a user by a pseudonym in all three services",
		Long: `Replace the user's id, addresses and texts by a pseudonym in all rows, so that sums, stock and audit stay true, and delete the
user's dead letters, held messages and kept answers. Each service does it in one transaction, and reads older records of its
topics as the pseudonym's from then on: a replay, a redelivery or a rebuild does not bring the user back.

The pseudonym is made with the key in ERASURE_KEY_FILE, which all services must have. A user with orders that are not settled is
not erased: cancel them, or wait. A user may come back: records that are younger than the erasure are the user's own.

The command may be repeated, also after it was ended between two services: where nothing is left, nothing changes. It erases twice
by itself, a few seconds apart, because another replica may have written a row meanwhile.

What stays: records in Kafka until the topics' retention removes them, backups, the books of the payment provider, emails that were
sent, and ids of orders that clients chose.`,
		Example: `  pas user erase ada --dry-run
  pas user erase ada
  pas user erase ada --yes --json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, given []string) error {
			if err := checkUser(given[0]); err != nil {
				return err
			}
			cfg, err := a.kafka(*at)
			if err != nil {
				return err
			}
			return a.eraseUser(cmd.Context(), c, cfg, given[0], yes, dryRun)
		}),
	}
	at.addTo(cmd.Flags())
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "count what would be erased, and change nothing")
	return cmd
}

// erased is the report of an erasure, as --json shows it.
type erased struct {
	Pseudonym string                      `json:"pseudonym"`
	DryRun    bool                        `json:"dry_run"`
	Services  map[string]map[string]int64 `json:"services"` // rows by kind
	Topics    []topicRetention            `json:"topics"`
	KafkaAway string                      `json:"kafka_error,omitempty"`
}

// topicRetention is how long a topic keeps its records.
type topicRetention struct {
	Topic     string     `json:"topic"`
	Retention string     `json:"retention"`       // a duration, "for ever", or "" when the broker does not say
	Until     *time.Time `json:"until,omitempty"` // when the last of today's records is removed
}

func (a *app) eraseUser(ctx context.Context, c *client.Client, cfg kafka.Config, user string, yes, dryRun bool) error {
	report := erased{DryRun: dryRun, Services: map[string]map[string]int64{}}
	if err := report.pass(ctx, c, user, true); err != nil {
		return err
	}
	if !dryRun {
		if !yes {
			if err := a.confirm(ctx, user); err != nil {
				return err
			}
		}
		report.Services = map[string]map[string]int64{}
		if err := report.pass(ctx, c, user, false); err != nil {
			return hint.Add(err, "run the command again: it continues where it ended")
		}
		a.note("erased; once more in %s, for rows that were written meanwhile", erasure.Settle)
		if !wait.Sleep(ctx, erasure.Settle) {
			return hint.Add(ctx.Err(), "run the command again: it continues where it ended")
		}
		if err := report.pass(ctx, c, user, false); err != nil {
			return hint.Add(err, "the user was erased, and something of the user came afterwards: run the command again")
		}
	}
	report.topics(ctx, cfg)
	return a.showErased(report)
}

// pass erases or counts in each service, and adds the counts. All services must make the same pseudonym. Orders come first: a settled
// order sends no request any more, so the others hear nothing new about the user.
func (r *erased) pass(ctx context.Context, c *client.Client, user string, dryRun bool) error {
	keyOf := map[string]string{}
	for _, service := range messages.Services() {
		done, err := c.EraseUser(ctx, service, user, dryRun)
		if err != nil {
			return err
		}
		keyOf[done.KeyID] = service
		if r.Pseudonym == "" {
			r.Pseudonym = done.Pseudonym
		}
		if done.Pseudonym != r.Pseudonym {
			return hint.Add(fmt.Errorf("the services have different keys of erasures: %s", strings.Join(slices.Sorted(maps.Values(keyOf)), " and ")),
				"set ERASURE_KEY_FILE of all services to the same file")
		}
		if r.Services[service] == nil {
			r.Services[service] = map[string]int64{}
		}
		for kind, n := range done.Counts {
			r.Services[service][kind] += n
		}
	}
	return nil
}

// topics asks Kafka how long the topics keep their records. The erasure does not depend on it.
func (r *erased) topics(ctx context.Context, cfg kafka.Config) {
	r.Topics = []topicRetention{}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	infos, err := kafka.ListTopics(ctx, cfg)
	if err != nil {
		r.KafkaAway = kafka.InWords(err.Error(), err)
		return
	}
	for _, name := range messages.TopicNames() {
		i := slices.IndexFunc(infos, func(t kafka.TopicInfo) bool { return t.Name == name })
		if i < 0 {
			continue
		}
		t := topicRetention{Topic: cfg.TopicPrefix + name}
		switch ms, err := strconv.ParseInt(infos[i].Configs["retention.ms"], 10, 64); {
		case err != nil:
		case ms < 0:
			t.Retention = "for ever"
		default:
			keeps := time.Duration(ms) * time.Millisecond
			until := time.Now().Add(keeps).UTC().Truncate(time.Second)
			t.Retention, t.Until = keeps.String(), &until
		}
		r.Topics = append(r.Topics, t)
	}
}

func (a *app) showErased(r erased) error {
	p := a.printer()
	if a.json {
		return p.JSON(r)
	}
	for _, service := range messages.Services() {
		var counts []string
		for _, kind := range slices.Sorted(maps.Keys(r.Services[service])) {
			if n := r.Services[service][kind]; n > 0 {
				counts = append(counts, fmt.Sprintf("%d %s", n, strings.ReplaceAll(kind, "_", " ")))
			}
		}
		if len(counts) == 0 {
			counts = []string{"nothing"}
		}
		p.Line("%s  %s", p.Bold(service), strings.Join(counts, ", "))
	}
	if r.DryRun {
		p.Line("Nothing was changed. The pseudonym would be %s.", r.Pseudonym)
	} else {
		p.Line("The user is %s now.", r.Pseudonym)
	}
	for _, t := range r.Topics {
		switch {
		case t.Until != nil:
			p.Line("Kafka keeps records with the user's name in %s until %s at the latest.", t.Topic, t.Until.Format(time.RFC3339))
		case t.Retention != "":
			p.Line("Kafka keeps records with the user's name in %s %s: set retention.ms.", t.Topic, t.Retention)
		default:
			p.Line("Kafka keeps records with the user's name in %s for as long as the broker's log.retention says.", t.Topic)
		}
	}
	if r.KafkaAway != "" {
		p.Line("Kafka keeps records with the user's name for the retention of its topics, which it does not say now: %s", r.KafkaAway)
	}
	p.Line("Backups, the payment provider, and mailboxes have the user's name as well, and are outside of the services.")
	return nil
}
