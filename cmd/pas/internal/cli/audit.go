package cli

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pasdetrois/toolbox/audit"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/feed"
)

// audit makes `pas audit`. It only reads: its role may not write. Its checks are those of toolbox/audit; this
// file finds the databases and shows the report.
//
// Without --topics it compares the three databases. With --topics it also reads all topics from their
// beginning, which takes time in proportion to them. A check that does not hold is exit code 1, as for a test.
func (a *app) audit() *cobra.Command {
	kafka := &kafkaFlags{}
	var databaseURL string
	var grace time.Duration
	var topics bool
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Compare what every service, the payment provider and the topics say of every order",
		Long: `Read the three services' databases and check that everything adds up: stock, money, charges, notifications, deadlines,
the outbox. With --topics, every order's state is also rebuilt from the four topics alone, which must then still hold
every message, and compared. Nothing is written. A system at work can be audited: what changed within --grace is
counted and not judged.

The databases: AUDIT_DATABASE_URL, or AUDIT_ORDERS_DATABASE_URL, AUDIT_PAYMENTS_DATABASE_URL and
AUDIT_NOTIFICATIONS_DATABASE_URL where they are apart; each also as …_FILE; without them, that of a "pas up" which
runs with its data in ./pas-data. "pas migrate" makes the role of that URL and gives it the password there; it may read
what is needed and nothing else. Where services sign events that move money, --topics needs their EVENT_TRUSTED_KEYS:
unsigned ones count as absent then. Exit code 1 when something does not hold.`,
		Example: `  AUDIT_DATABASE_URL=postgres://auditor:auditor@localhost:5432/pasdetrois pas audit
  pas audit --topics --brokers localhost:9092
  pas audit --grace 0s --json | jq '.checks[] | select(.wrong > 0)'`,
		Args: args(cobra.NoArgs),
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			if grace < 0 {
				return usagef("--grace %s is less than 0", grace)
			}
			cfg := audit.Config{Grace: grace, ConnectTime: a.Patience}
			if err := a.auditURLs(databaseURL, &cfg); err != nil {
				return err
			}
			if topics {
				at, err := a.kafka(*kafka)
				if err != nil {
					return err
				}
				cfg.Topics = &feed.Config{Kafka: at, OpenTime: a.Patience}
				if cfg.Topics.Trusted, err = a.trusted(); err != nil {
					return err
				}
			}
			// An audit of many orders may take minutes, so it reports its progress, on standard error.
			cfg.Progress = func(messages, orders int64) {
				if orders == 0 {
					a.note("%d messages read", messages)
					return
				}
				a.note("%d orders compared", orders)
			}
			report, err := audit.Run(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return a.showAudit(report)
		}),
	}
	kafka.add(cmd)
	cmd.Flags().StringVar(&databaseURL, "database-url", "", "the database; better in the environment, where other users do not see it")
	cmd.Flags().DurationVar(&grace, "grace", 10*time.Second, "how long a change may take to be everywhere")
	cmd.Flags().BoolVar(&topics, "topics", false, "rebuild every order's state from the topics, too")
	cmd.AddCommand(a.auditLog())
	return cmd
}

// auditURLs fills in the database of each service. Services usually share one; each may have its own.
func (a *app) auditURLs(flag string, cfg *audit.Config) error {
	for name, into := range map[string]*string{client.Orders: &cfg.OrdersURL, client.Payments: &cfg.PaymentsURL, client.Notifications: &cfg.NotificationsURL} {
		var err error
		if *into, err = a.auditURL(name, flag); err != nil {
			return err
		}
	}
	return nil
}

// auditURL returns the database of a service, for a role that may read it. Without a setting it is the database
// of the `pas up` that runs in this folder. `pas replay` uses the same URL. The error never contains the URL,
// which may hold a password.
func (a *app) auditURL(service, flag string) (string, error) {
	variable, target, err := a.auditSetting(service, flag)
	if err != nil {
		return "", err
	}
	if target == "" {
		// The file takes the variable's place in an error: it is then the source of the URL.
		variable, target = upFile, runningHere()
	}
	if target == "" {
		return "", usagef("no database is named: set AUDIT_DATABASE_URL (or AUDIT_DATABASE_URL_FILE) to a URL such as postgres://auditor:secret@localhost:5432/pasdetrois, or start `pas up` in this folder")
	}
	if u, err := url.Parse(target); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", usagef("%s is not a URL such as postgres://auditor:secret@localhost:5432/pasdetrois", variable)
	}
	return target, nil
}

// auditSetting returns the URL that is set for a service's database, and the name of the setting for errors.
// The setting of the one service comes first, then the flag, then AUDIT_DATABASE_URL. Without any, target is
// "".
func (a *app) auditSetting(service, flag string) (variable, target string, err error) {
	variable = "AUDIT_" + strings.ToUpper(service) + "_DATABASE_URL"
	target, err = a.secret(variable, "")
	if err == nil && target == "" {
		variable = "AUDIT_DATABASE_URL"
		target, err = a.secret(variable, flag)
	}
	return variable, target, err
}

// showAudit shows the report, and returns an error when a check does not hold. With --json it still writes the
// report first, so that a script gets the details of a failure.
func (a *app) showAudit(r *audit.Report) error {
	failed := 0
	rows := make([][]string, 0, len(r.Checks))
	for _, c := range r.Checks {
		result := "ok"
		if c.Wrong > 0 {
			result = "WRONG"
			failed++
		}
		// The table has every check, also those that hold, so that a reader sees the extent of the audit.
		rows = append(rows, []string{c.Name, result, strconv.FormatInt(c.Looked, 10), strconv.FormatInt(c.Wrong, 10), c.Holds})
	}
	var verdict error
	if failed > 0 {
		// The lines above name each wrong check, so the error has the number only.
		verdict = fmt.Errorf("%d of %d checks do not hold", failed, len(r.Checks))
	}
	if a.json {
		// The report's own JSON, plus the verdict: a script needs one field to test.
		view := struct {
			*audit.Report
			Passed  bool    `json:"passed"`
			Seconds float64 `json:"seconds"`
		}{r, r.Passed(), r.Took.Seconds()}
		return errors.Join(a.printer().JSON(view), verdict)
	}
	p := a.printer()
	p.Table([]string{"CHECK", "RESULT", "LOOKED AT", "WRONG", "WHAT MUST HOLD"}, rows, "LOOKED AT", "WRONG")
	for _, c := range r.Checks {
		// A check keeps a few examples; Wrong has the whole number.
		for _, example := range c.Examples {
			p.Line("  %s: %s", c.Name, strings.TrimSpace(example))
		}
		for _, note := range c.Notes {
			p.Line("  %s: %s", c.Name, note)
		}
		if more := c.Wrong - int64(len(c.Examples)); more > 0 {
			p.Line("  %s: and %d more", c.Name, more)
		}
	}
	p.Line("")
	p.Line("%d orders, %d in flight, in %.1f s", r.Orders, r.InFlight, r.Took.Seconds())
	if r.Removed > 0 {
		p.Line("%d orders are not judged: retention removed a part of them", r.Removed)
	}
	return verdict
}
