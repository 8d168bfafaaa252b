package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pasdetrois/cmd/pas/internal/render"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/hint"
)

// emails makes `pas emails`. It uses the admin port of notifications. An email has these states:
//
//	pending --the mail server accepts it--> sent
//	pending --rejected for good, or EMAIL_RETRY_FOR is over--> failed
//	failed  --retry--> pending
func (a *app) emails() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "emails",
		Short: "List emails by their state, and send failed ones again",
		Long: `An email fails when the mail server refuses its address or its text for good, or when it was tried for longer than
EMAIL_RETRY_FOR. Repair the cause, then retry it. These commands use the admin port of notifications.`,
		Example: `  pas emails list
  pas emails retry 3`,
	}
	asGroup(cmd)
	cmd.AddCommand(a.emailsList(), a.emailsRetry())
	return cmd
}

// emailStates returns the values of --status.
func emailStates() []string {
	return []string{client.EmailFailed, client.EmailPending, client.EmailSent}
}

// emailsList makes `pas emails list`. By default it shows the failed emails, which need a person.
func (a *app) emailsList() *cobra.Command {
	var status string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List emails, newest first",
		Example: `  pas emails list
  pas emails list --status pending --json`,
		Args: args(cobra.NoArgs),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			if !slices.Contains(emailStates(), status) {
				return usagef("--status %q is not one of %s", status, strings.Join(emailStates(), ", "))
			}
			if limit < 0 {
				return usagef("--limit %d is negative", limit)
			}
			emails, err := c.Emails(cmd.Context(), status, limit)
			if err != nil {
				return err
			}
			return a.listEmails(emails, status)
		}),
	}
	cmd.Flags().StringVar(&status, "status", client.EmailFailed, "only those in this state: "+strings.Join(emailStates(), ", "))
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many; 0: all")
	return cmd
}

// listEmails shows a table; long cells are cut. --json has the whole values.
func (a *app) listEmails(emails []client.Email, status string) error {
	p := a.printer()
	if a.json {
		return p.JSON(map[string]any{"items": emails})
	}
	if len(emails) == 0 {
		p.Line("No %s emails.", status)
		return nil
	}
	rows := make([][]string, len(emails))
	for i, e := range emails {
		rows[i] = []string{strconv.FormatInt(e.ID, 10), p.Status(e.Status), render.Short(render.Plain(e.OrderID), 40), render.Plain(e.Kind),
			render.Short(render.Plain(e.To), 40), strconv.Itoa(e.Attempts), e.CreatedAt.Local().Format(time.DateTime), render.Short(render.Plain(e.Reason), 60)}
	}
	p.Table([]string{"id", "status", "order", "kind", "to", "attempts", "created", "reason"}, rows, "id", "attempts")
	return nil
}

// emailsRetry makes `pas emails retry`. All ids are parsed before the first call, so that a typing error
// changes nothing. The command does not wait until the emails are sent.
func (a *app) emailsRetry() *cobra.Command {
	return &cobra.Command{
		Use:     "retry ID…",
		Short:   "Send failed emails again, as if they were new",
		Example: `  pas emails retry 3 4`,
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, given []string) error {
			ids := make([]int64, len(given))
			for i, text := range given {
				var err error
				if ids[i], err = strconv.ParseInt(text, 10, 64); err != nil || ids[i] < 1 {
					return usagef("%q is not the id of an email: ids are numbers, see `pas emails list`", text)
				}
			}
			// Not nil, as for every list in JSON.
			retried := []client.Email{}
			for _, id := range ids {
				email, err := c.RetryEmail(cmd.Context(), id)
				if client.Missing(err) {
					return hint.Add(fmt.Errorf("there is no email %d", id), "see `pas emails list`")
				}
				if err != nil {
					return err
				}
				retried = append(retried, email)
				if !a.json {
					a.printer().Line("email %d: %s", email.ID, a.printer().Status(email.Status))
				}
			}
			if a.json {
				return a.printer().JSON(map[string]any{"items": retried})
			}
			return nil
		}),
	}
}
