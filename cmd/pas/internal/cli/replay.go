package cli

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/hint"
	"pasdetrois/toolbox/replay"
)

// replayFlags are the flags of `pas replay`, as given.
type replayFlags struct {
	service, from, databaseURL string
	topics, admins             []string
	partition                  int32
	patience                   time.Duration
	contradictions             bool
}

// replay makes `pas replay`. The protocol is that of toolbox/replay; this file reads the flags and shows the
// report. Do not confuse it with `pas dead-letters replay`, which handles single parked records again.
//
// The service pauses by a lease that the replay renews. So a killed pas leaves no paused service; an
// interrupted one lets it resume at once.
func (a *app) replay() *cobra.Command {
	kafka, flags := &kafkaFlags{}, &replayFlags{}
	cmd := &cobra.Command{
		Use:   "replay --service SERVICE --from beginning|TIME|OFFSET",
		Short: "Let a service read its topics again, and check that nothing comes of it",
		Long: `Pause a service's consumers, move its consumer groups back, resume them, and compare its state before and after: equal,
or exit code 1 with the rows that differ. Nothing is charged, sold or sent again, because what a service has done already is
decided by its state.

That holds only while the database has every decision that the topics have. So they are compared first, from the beginning of
the topics, and nothing is touched before. A database that was put back to an earlier moment is behind: the replay is refused
with the number of orders, payments or notifications and the first of them, and "pas rebuild" makes its state again. Where the
topics and the database ended in different ways, each id is named, and the replay needs --despite-contradictions.

--from: beginning; a time, as 2026-01-31T15:04:05Z or "10m ago"; or an offset, which is one of each partition (see
--partition). Nothing is ever skipped: where the service has not come that far, it stays where it is. New messages are
handled after those that are read again; requests are answered all the time.

What is compared: every row that was settled when the pause began, as a hash, and that no row was added. Stock is compared
with what the orders hold of it. Rows that were not settled are counted and not compared, neither are those that moved on for
another reason than the replay: a message that was not handled before, a call over HTTP, a deadline. Replay no dead letters
meanwhile: what comes of them counts as a difference.

The pause is for a minute at a time and renewed: a service never stays paused because pas was killed. A replay that finds the
service paused, by another one or by one that was killed, waits until that is over and what was moved back is read. Ctrl-C
lets the service go on at once. With several replicas, give the admin URL of each with --admin.

The database: AUDIT_DATABASE_URL or AUDIT_SERVICE_DATABASE_URL (see "pas audit"); without it, that of a "pas up" which runs
with its data in ./pas-data. EVENT_TRUSTED_KEYS is read as the service reads it: an unsigned decision counts as none.`,
		Example: `  pas replay --service payments --from beginning
  pas replay --service orders --topic payments --from "10m ago"
  pas replay --service notifications --from 2026-01-31T15:04:05Z --json | jq .equal
  pas replay --service orders --topic orders --partition 3 --from 1200
  pas replay --service payments --from beginning --admin http://10.0.0.3:9084 --admin http://10.0.0.4:9084`,
		Args: args(cobra.NoArgs),
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			cfg, done, err := a.replayConfig(kafka, flags)
			if err != nil {
				return err
			}
			defer done()
			line := a.liveLine()
			cfg.Progress = func(p replay.Progress) { line.replayed(p) }
			report, err := replay.Run(cmd.Context(), cfg)
			line.end()
			return a.showReplayed(report, err)
		}),
	}
	f := cmd.Flags()
	// There is no --topic-prefix: the service itself reports the names of its topics and groups.
	kafka.addBrokers(f)
	f.StringVar(&flags.service, "service", "", "orders, payments or notifications")
	f.StringVar(&flags.from, "from", "", "where to begin: beginning, a time, or an offset")
	f.StringSliceVar(&flags.topics, "topic", nil, "only this topic; can be repeated (default: all that the service reads)")
	f.Int32Var(&flags.partition, "partition", -1, "only this partition of --topic")
	f.StringSliceVar(&flags.admins, "admin", nil, "admin URL of a replica; repeat it for each (default $PAS_…_ADMIN_URL, else the usual port)")
	f.StringVar(&flags.databaseURL, "database-url", "", "the database; better in the environment, where other users do not see it")
	f.DurationVar(&flags.patience, "patience", 2*time.Minute, "fail when no record is handled for this long, or another pause lasts this long")
	f.BoolVar(&flags.contradictions, "despite-contradictions", false, "replay although the topics contradict the database")
	return cmd
}

// replayConfig makes a replay's configuration from the flags. Every mistake is a usage error, found before
// anything is paused. done closes the connections to the replicas; it is nil with an error.
func (a *app) replayConfig(kafka *kafkaFlags, flags *replayFlags) (cfg replay.Config, done func(), err error) {
	cfg = replay.Config{Service: flags.service, Topics: flags.topics, Only: flags.partition, Patience: flags.patience,
		OpenTime: a.Patience, Contradictions: flags.contradictions}
	switch {
	case flags.service == "":
		return cfg, nil, usagef("--service is missing: give one of %s", strings.Join(messages.Services(), ", "))
	case !slices.Contains(messages.Services(), flags.service):
		return cfg, nil, usagef("--service %q is not one of %s", flags.service, strings.Join(messages.Services(), ", "))
	case flags.partition < -1:
		return cfg, nil, usagef("--partition %d is less than 0", flags.partition)
	case flags.partition >= 0 && len(flags.topics) != 1:
		return cfg, nil, usagef("--partition is of one topic: give it with --topic")
	case flags.patience <= 0:
		return cfg, nil, usagef("--patience %s is not more than 0", flags.patience)
	}
	if cfg.From, err = parseFrom(flags.from, time.Now()); err != nil {
		return cfg, nil, err
	}
	if cfg.Kafka, err = a.kafka(*kafka); err != nil {
		return cfg, nil, err
	}
	if cfg.Trusted, err = a.trusted(); err != nil {
		return cfg, nil, err
	}
	if cfg.Database, err = a.auditURL(flags.service, flags.databaseURL); err != nil {
		return cfg, nil, err
	}
	at, err := a.endpoints()
	if err != nil {
		return cfg, nil, err
	}
	// With several replicas behind one address, only one would be paused. So each replica has an address of its
	// own here.
	admins := flags.admins
	if len(admins) == 0 {
		admins = []string{at[flags.service].Admin}
	}
	for _, admin := range admins {
		if u, err := url.Parse(admin); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return cfg, nil, usagef("--admin %q is not a URL such as http://127.0.0.1:9080", admin)
		}
		where := client.Endpoints{flags.service: {Admin: admin}}
		replica := client.New(where)
		if err := a.operate(replica, where); err != nil {
			return cfg, nil, err
		}
		cfg.Replicas = append(cfg.Replicas, replica)
	}
	return cfg, func() {
		for _, replica := range cfg.Replicas {
			replica.Close()
		}
	}, nil
}

// parseFrom parses --from: beginning, an RFC 3339 time, a span followed by " ago", or an offset. A number is an
// offset, never a time. A time in the future is rejected: it would replay nothing.
func parseFrom(text string, now time.Time) (replay.From, error) {
	text = strings.TrimSpace(text)
	past, isPast := strings.CutSuffix(text, " ago")
	if text == "beginning" {
		return replay.From{}, nil
	}
	if offset, err := strconv.ParseInt(text, 10, 64); err == nil && offset >= 0 {
		return replay.From{Offset: &offset}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if isPast {
		var span time.Duration
		span, err = time.ParseDuration(strings.TrimSpace(past))
		at = now.Add(-span)
	}
	switch {
	case text == "":
		return replay.From{}, usagef(`--from is missing: give beginning, a time such as 2026-01-31T15:04:05Z or "10m ago", or an offset`)
	case err != nil:
		return replay.From{}, usagef(`--from %q is neither beginning, nor a time such as 2026-01-31T15:04:05Z or "10m ago", nor an offset`, text)
	case at.After(now):
		return replay.From{}, usagef("--from %q is in the future", text)
	}
	return replay.From{Time: at}, nil
}

// replayed shows the progress of a replay. A new step gets a line that stays.
func (l *liveLine) replayed(p replay.Progress) {
	if p.Step != "" {
		l.end()
		l.app.note("%s", p.Step)
		return
	}
	l.show(fmt.Sprintf("%d of %d messages read again, %d left, %s", p.Total-p.Left, p.Total, p.Left, p.Took.Round(100*time.Millisecond)))
}

// differencesShown is the number of differing rows that the terminal names. --json has as many as the report.
const differencesShown = 20

// showReplayed shows the report and returns the failure, if any. The report is nil when the replay never began.
// Without a comparison there is no verdict, and "equal" is null in JSON: there was nothing to replay, or the
// replay ended early. Rows that differ are an error, since a replay must have no effect.
func (a *app) showReplayed(r *replay.Report, err error) error {
	if r == nil {
		return err
	}
	var verdict error
	if r.Comparison != nil && !r.Equal() {
		verdict = differ(r)
	}
	if a.json {
		view := struct {
			*replay.Report
			Equal         *bool   `json:"equal"` // null: not compared
			PausedSeconds float64 `json:"paused_seconds"`
			Seconds       float64 `json:"seconds"`
		}{Report: r, PausedSeconds: r.Paused.Seconds(), Seconds: r.Took.Seconds()}
		if r.Comparison != nil {
			equal := r.Comparison.Equal()
			view.Equal = &equal
		}
		return errors.Join(a.printer().JSON(view), err, verdict)
	}
	p := a.printer()
	if r.Messages == 0 && err == nil {
		p.Line("Nothing to replay: %s has handled no message from there on.", r.Service)
		return nil
	}
	rows := make([][]string, 0, len(r.Topics))
	for _, t := range r.Topics {
		var ranges []string
		for _, part := range t.Partitions {
			ranges = append(ranges, fmt.Sprintf("%d: %d-%d", part.Partition, part.From, part.To-1))
		}
		rows = append(rows, []string{t.Topic, t.Group, strconv.FormatInt(t.Messages, 10), strings.Join(ranges, ", ")})
	}
	p.Table([]string{"topic", "group", "messages", "offsets"}, rows, "messages")
	p.Line("")
	p.Line("%s read %d of %d messages again in %.1f s; it was paused for %.1f s of them.", r.Service, r.Handled, r.Messages, r.Took.Seconds(), r.Paused.Seconds())
	if r.Comparison == nil {
		p.Line("The state was not compared. %s consumes on.", r.Service)
		return err
	}
	p.Line("State before  %s", r.Before)
	p.Line("State after   %s", r.After)
	result := p.Good("equal")
	if !r.Equal() {
		result = p.Bad(fmt.Sprintf("%d DIFFERENT", r.Different))
	}
	p.Line("%d rows compared: %s; not compared: %d not settled before, %d moved on by something else", r.Rows, result, r.Unsettled, r.MovedOn)
	for i, d := range r.Differences {
		if i == differencesShown {
			p.Line("  and %d more", r.Different-differencesShown)
			break
		}
		p.Line("  %s", difference(d))
	}
	return errors.Join(err, verdict)
}

// differ says that rows differ. Rows that were only added were missing before: the service had not handled their records, and
// has handled them now. That is a repair, and the exit code is 1 all the same, because rows were missing.
func differ(r *replay.Report) error {
	added := 0
	for _, d := range r.Differences {
		if d.Was == "" {
			added++
		}
	}
	err := fmt.Errorf("%d rows of %s differ after the replay", r.Different, r.Service)
	if int64(added) == r.Different {
		return hint.Add(err, "all of them were missing and are there now: the replay repaired them, and the next one finds nothing; "+
			"`pas audit` says whether all adds up")
	}
	return hint.Add(err, "see them above; `pas order history` shows what happened to an order")
}

// difference formats one row. The last but one case means equal statuses and a different hash: some other
// column differs.
func difference(d replay.Difference) string {
	switch {
	case d.Was == "":
		return fmt.Sprintf("%s %s was added: %s", d.Table, d.Row, d.Is)
	case d.Is == "":
		return fmt.Sprintf("%s %s is gone: it was %s", d.Table, d.Row, d.Was)
	case d.Was == d.Is:
		return fmt.Sprintf("%s %s (%s) is not what it was", d.Table, d.Row, d.Is)
	default:
		return fmt.Sprintf("%s %s is %s; it was %s", d.Table, d.Row, d.Is, d.Was)
	}
}
