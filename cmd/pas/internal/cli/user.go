package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// user makes `pas user`. It uses the admin ports of all three services.
func (a *app) user() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Export everything about a user, or erase a user",
		Long: `Each service keeps its own rows about a user: orders, payments, notifications, and dead letters of them. These commands
use the admin ports of the three services.`,
		Example: `  pas user export ada
  pas user erase ada --dry-run`,
	}
	asGroup(cmd)
	cmd.AddCommand(a.userExport(), a.userErase())
	return cmd
}

// userExport makes `pas user export`. It holds one row at a time.
func (a *app) userExport() *cobra.Command {
	return &cobra.Command{
		Use:   "export USER",
		Short: "Write everything that the services keep about a user",
		Long: `Write all rows about a user: orders with lines and timeline, payments, the simulated provider's ledger, notifications,
entries of the audit logs, dead letters, held messages, and answers kept under an Idempotency-Key. One JSON object a line with
service, kind and row; with --json, one JSON document with the rows in a list.

Kafka's topics have copies until their retention removes them, and so do backups: both are not in the export. Each service notes
the export in its audit log.`,
		Example: `  pas user export ada > ada.ndjson
  pas user export ada --json | jq '.rows[] | select(.kind == "order")'`,
		Args: args(cobra.ExactArgs(1)),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, given []string) error {
			if err := checkUser(given[0]); err != nil {
				return err
			}
			out := &exporting{to: a.Stdout, list: a.json}
			for _, service := range messages.Services() {
				err := c.ExportUser(cmd.Context(), service, given[0], func(row client.UserRow) error { return out.row(service, row) })
				if err != nil {
					return err
				}
			}
			return out.end()
		}),
	}
}

func checkUser(user string) error {
	if user == "" {
		return usagef("the user id is empty")
	}
	return nil
}

// exporting writes rows as they come: lines, or the elements of a list.
type exporting struct {
	to    io.Writer
	list  bool
	begun bool
}

// exported is one row of an export.
type exported struct {
	Service string `json:"service"`
	client.UserRow
}

func (e *exporting) row(service string, row client.UserRow) error {
	text, err := json.Marshal(exported{service, row})
	if err != nil {
		return err
	}
	before, behind := "", "\n"
	switch {
	case e.list && !e.begun:
		before, behind = `{"rows":[`+"\n", ""
	case e.list:
		before, behind = ",\n", ""
	}
	e.begun = true
	_, err = fmt.Fprintf(e.to, "%s%s%s", before, text, behind)
	return err
}

func (e *exporting) end() error {
	text := ""
	switch {
	case e.list && e.begun:
		text = "\n]}\n"
	case e.list:
		text = `{"rows":[]}` + "\n"
	}
	_, err := io.WriteString(e.to, text)
	return err
}

// errNotConfirmed means that the answer was not the user's id.
var errNotConfirmed = errors.New("nothing was erased: the answer is not the user's id")

// confirm asks on standard error for the user's id.
func (a *app) confirm(ctx context.Context, user string) error {
	if a.Stdin == nil || a.json {
		return usagef("give --yes, or --dry-run to count only")
	}
	if _, err := fmt.Fprintf(a.Stderr, "This cannot be undone. Type the user's id to erase the user: "); err != nil {
		return err
	}
	answer := make(chan string, 1)
	go func() { // it may wait for ever: the process ends then
		line, _ := bufio.NewReader(a.Stdin).ReadString('\n') // without an answer the line is empty
		answer <- strings.TrimRight(line, "\r\n")
	}()
	select {
	case line := <-answer:
		if line != user {
			return errNotConfirmed
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
