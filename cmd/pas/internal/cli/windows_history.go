package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pasdetrois/toolbox/windows"
)

// historyView holds the stored windows of a job, as --json shows them.
type historyView struct {
	Job     string           `json:"job"`
	Topics  []string         `json:"topics"`
	Size    string           `json:"size"`
	Grace   string           `json:"grace"`
	Windows []windows.Window `json:"windows"`
}

// windowsHistory makes `pas windows history`. It needs the database only, and can run beside the job that
// writes.
func (a *app) windowsHistory() *cobra.Command {
	var job string
	var since time.Duration
	var last int
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Read back the windows that were stored",
		Long: `Read back the newest windows that "pas windows --store" keeps in the Postgres of DATABASE_URL, oldest first. A window is
still open while its end and grace are not over on every partition that has events.`,
		Example: `  pas windows history
  pas windows history --job orders,payments/1m --since 1h
  pas windows history --last 1 --json`,
		Args: args(cobra.NoArgs),
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			switch {
			case last < 1 || last > 100_000:
				return usagef("--last %d is not between 1 and 100000", last)
			case since < 0:
				return usagef("--since %s is in the future: write 1h for the last hour", since)
			}
			// One limit covers the connection and the query.
			ctx, cancel := context.WithTimeout(cmd.Context(), a.Patience)
			defer cancel()
			return a.history(ctx, job, since, last)
		}),
	}
	cmd.Flags().StringVar(&job, "job", "", "name of what was stored (default: the only one)")
	cmd.Flags().DurationVar(&since, "since", 0, "only windows that began in the last, for example, 1h")
	cmd.Flags().IntVar(&last, "last", 20, "at most so many windows")
	return cmd
}

// history reads the newest windows of a job and shows them, oldest first. job may be "" when only one job is
// stored. It reads nothing from Kafka.
func (a *app) history(ctx context.Context, job string, since time.Duration, last int) error {
	target, err := a.databaseURL()
	if err != nil {
		return err
	}
	conn, err := a.connector(target)(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var from time.Time
	if since > 0 {
		from = time.Now().Add(-since)
	}
	stored, list, err := windows.History(ctx, conn, job, from, last)
	if err != nil {
		return err
	}
	if a.json {
		return a.printer().JSON(historyView{stored.Name, stored.Topics, short(stored.Size), short(stored.Grace), list})
	}
	a.printer().Line("Job %s: %s in windows of %s.", stored.Name, strings.Join(stored.Topics, ", "), short(stored.Size))
	for _, w := range list {
		a.printer().Window(w)
	}
	return nil
}
