package cli

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"pasdetrois/cmd/pas/internal/render"
	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// entryView is an entry with the service whose audit log has it, as --json shows it.
type entryView struct {
	Service string `json:"service"`
	client.AuditEntry
}

// auditLog makes `pas audit log`. It asks the services one after the other; one that does not answer fails the command.
func (a *app) auditLog() *cobra.Command {
	var service, subject string
	var limit int
	cmd := &cobra.Command{
		Use:   "log",
		Short: "List who changed what, newest first",
		Long: `List the entries of the services' audit logs: who cancelled, priced, restocked, published again, replayed, discarded,
paused, resumed, sent again or erased. Work that events cause has no entry. A service can add entries, and can neither
change nor delete them. This command uses the admin ports.

Actors are user:NAME (a login), admin token DIGITS (the first digits of its SHA-256), certificate:SUBJECT, tool:NAME, local
user (the user who runs "pas up"), or anyone (a caller of a service without logins).`,
		Example: `  pas audit log
  pas audit log --service orders --subject vinyl-swan-lake
  pas audit log --limit 0 --json | jq '.items[] | select(.actor != "anyone")'`,
		Args: args(cobra.NoArgs),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if limit < 0 {
				return usagef("--limit %d is negative", limit)
			}
			services := messages.Services()
			if service != "" {
				if err := knownService(service); err != nil {
					return err
				}
				services = []string{service}
			}
			views := []entryView{}
			for _, name := range services {
				entries, err := c.AuditLog(cmd.Context(), name, subject, limit)
				if err != nil {
					return err
				}
				for _, e := range entries {
					views = append(views, entryView{name, e})
				}
			}
			slices.SortStableFunc(views, func(a, b entryView) int { return b.At.Compare(a.At) })
			if limit > 0 && len(views) > limit {
				views = views[:limit]
			}
			return a.listEntries(views)
		}),
	}
	serviceFlag(cmd, &service, false)
	cmd.Flags().StringVar(&subject, "subject", "", "only entries about this id: an order, a product, a dead letter, an email, a replica")
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many; 0: all")
	return cmd
}

// listEntries shows a table; long cells are cut. --json has the whole values.
func (a *app) listEntries(views []entryView) error {
	p := a.printer()
	if a.json {
		return p.JSON(map[string]any{"items": views})
	}
	if len(views) == 0 {
		p.Line("No entries.")
		return nil
	}
	rows := make([][]string, len(views))
	for i, v := range views {
		details := string(v.Details)
		if details == "{}" {
			details = ""
		}
		rows[i] = []string{v.At.Local().Format(time.DateTime), v.Service, render.Short(render.Plain(v.Actor), 40), v.Operation,
			render.Short(render.Plain(v.Subject), 40), render.Plain(v.Address), render.Short(render.Plain(details), 60)}
	}
	p.Table([]string{"time", "service", "actor", "operation", "subject", "address", "details"}, rows)
	return nil
}
