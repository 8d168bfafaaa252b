package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pasdetrois/cmd/pas/internal/render"
	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/hint"
)

// letterView is a dead letter with the service that parked it, as --json shows it. Ids are unique within one
// service only.
type letterView struct {
	Service string `json:"service"`
	client.DeadLetter
}

// deadLetters makes `pas dead-letters`. It uses the admin ports, which only operators reach. A dead letter has
// these states:
//
//	parked --replay--> replaying --handled--> replayed
//	   ^                   |
//	   +---failed again----+
//	parked --discard--> discarded
//
// The service rejects a transition that is not in this picture, and the replay of a letter that does not hold
// the whole record.
func (a *app) deadLetters() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "dead-letters",
		Aliases: []string{"dl"},
		Short:   "List, show, replay and discard messages that a service parked",
		Long: `A message that can never succeed as it is (no JSON, an order whose total is not what its items cost, …) is parked
by the service that read it, with all that is needed to look at it and to try again. Nothing else waits for it.

Replay it once what was wrong has been mended, for example a price; discard it when it is worth nothing.
These commands use the admin ports.`,
		Example: `  pas dead-letters list
  pas dead-letters show 3 --service orders
  pas dead-letters replay 3 --service orders
  pas dead-letters discard 4 --service orders`,
	}
	asGroup(cmd)
	cmd.AddCommand(a.lettersList(), a.lettersShow(), a.lettersReplay(), a.lettersDiscard())
	return cmd
}

// serviceFlag adds --service with its completion. list needs no service; commands with ids require one.
func serviceFlag(cmd *cobra.Command, service *string, required bool) {
	usage := "orders, payments or notifications"
	if !required {
		usage += " (default: all three)"
	}
	cmd.Flags().StringVar(service, "service", "", usage)
	if required {
		cobra.CheckErr(cmd.MarkFlagRequired("service"))
	}
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("service", cobra.FixedCompletions(messages.Services(), cobra.ShellCompDirectiveNoFileComp)))
}

// knownService rejects an unknown --service, before a request to an address that does not exist.
func knownService(service string) error {
	if !slices.Contains(messages.Services(), service) {
		return usagef("--service %q is not one of %s", service, strings.Join(messages.Services(), ", "))
	}
	return nil
}

// lettersList makes `pas dead-letters list`. It asks the services one after the other; one that does not answer
// fails the command.
func (a *app) lettersList() *cobra.Command {
	var service, state string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List parked messages",
		Example: `  pas dead-letters list
  pas dead-letters list --service orders --state all --json`,
		Args: args(cobra.NoArgs),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			services := messages.Services()
			if service != "" {
				if err := knownService(service); err != nil {
					return err
				}
				services = []string{service}
			}
			if !slices.Contains(letterStates(), state) {
				return usagef("--state %q is not one of %s", state, strings.Join(letterStates(), ", "))
			}
			// Not nil: an empty list is [] in JSON, and not null.
			views := []letterView{}
			for _, name := range services {
				letters, err := c.DeadLetters(cmd.Context(), name, state, limit)
				if err != nil {
					return err
				}
				for _, l := range letters {
					views = append(views, letterView{name, l})
				}
			}
			return a.listLetters(views, state)
		}),
	}
	serviceFlag(cmd, &service, false)
	cmd.Flags().StringVar(&state, "state", client.LetterParked, "only those in this state: "+strings.Join(letterStates(), ", "))
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many of each service; 0: all")
	return cmd
}

// letterStates returns the values of --state. The last one, all, selects every state.
func letterStates() []string {
	return []string{client.LetterParked, client.LetterReplaying, client.LetterReplayed, client.LetterDiscarded, client.LetterAll}
}

// listLetters shows a table, without bodies. Keys and details are cut, so that a row fits a terminal; `show`
// has them whole.
func (a *app) listLetters(views []letterView, state string) error {
	p := a.printer()
	if a.json {
		return p.JSON(map[string]any{"items": views})
	}
	if len(views) == 0 {
		if state == client.LetterAll {
			state = "parked"
		}
		p.Line("No %s messages.", state)
		return nil
	}
	rows := make([][]string, len(views))
	for i, v := range views {
		rows[i] = []string{v.Service, strconv.FormatInt(v.ID, 10), p.Status(v.State), v.Reason,
			fmt.Sprintf("%s/%d@%d", v.Topic, v.Partition, v.Offset), render.Short(render.Plain(v.Key+string(v.KeyBase64)), 40),
			v.ParkedAt.Local().Format(time.DateTime), render.Short(render.Plain(v.Detail), 60)}
	}
	p.Table([]string{"service", "id", "state", "reason", "record", "key", "parked", "detail"}, rows, "id")
	return nil
}

// letterCommand makes a command that applies do to dead letters of one service, one id after the other. All ids
// are parsed before the first call, so that a typing error changes nothing. The first failing id ends the
// command; with --json nothing is printed then.
func (a *app) letterCommand(cmd *cobra.Command, do func(ctx context.Context, c *client.Client, service string, id int64) (client.DeadLetter, error),
	show func(service string, l client.DeadLetter)) *cobra.Command {
	var service string
	cmd.Args = args(cobra.MinimumNArgs(1))
	cmd.RunE = a.withClient(func(cmd *cobra.Command, c *client.Client, given []string) error {
		if err := knownService(service); err != nil {
			return err
		}
		ids := make([]int64, len(given))
		for i, text := range given {
			var err error
			if ids[i], err = strconv.ParseInt(text, 10, 64); err != nil || ids[i] < 1 {
				return usagef("%q is not the id of a dead letter: ids are numbers, see `pas dead-letters list`", text)
			}
		}
		views := []letterView{}
		for _, id := range ids {
			letter, err := do(cmd.Context(), c, service, id)
			// A 404 of the service; a 404 of some other program at that address is a different error.
			if client.Missing(err) {
				return hint.Add(fmt.Errorf("%s has no dead letter %d", service, id), "see `pas dead-letters list --service %s --state all`", service)
			}
			if err != nil {
				return err
			}
			views = append(views, letterView{service, letter})
			if !a.json {
				show(service, letter)
			}
		}
		if a.json {
			return a.printer().JSON(map[string]any{"items": views})
		}
		return nil
	})
	serviceFlag(cmd, &service, true)
	return cmd
}

func (a *app) lettersShow() *cobra.Command {
	return a.letterCommand(&cobra.Command{
		Use:     "show ID… --service SERVICE",
		Short:   "Show parked messages whole: key, headers, value, and why",
		Example: `  pas dead-letters show 3 --service orders`,
	}, func(ctx context.Context, c *client.Client, service string, id int64) (client.DeadLetter, error) {
		return c.DeadLetter(ctx, service, id)
	}, func(service string, l client.DeadLetter) { a.printer().DeadLetter(service, l) })
}

// lettersReplay makes `pas dead-letters replay`. The outcome decides the exit code: a letter that is parked
// again is a failure.
func (a *app) lettersReplay() *cobra.Command {
	return a.letterCommand(&cobra.Command{
		Use:   "replay ID… --service SERVICE",
		Short: "Handle parked messages again",
		Long: `Put parked messages through their service again, and wait for the outcome. One that fails again is parked again,
with the new reason; the command then fails (exit code 1).`,
		Example: `  pas dead-letters replay 3 --service orders`,
	}, a.replayLetter, func(service string, l client.DeadLetter) {
		a.printer().Line("dead letter %d of %s: %s", l.ID, service, a.printer().Status(l.State))
	})
}

// replayLetter requests the replay and polls until the letter leaves the state replaying. A letter that is
// parked again is an error with its new reason.
func (a *app) replayLetter(ctx context.Context, c *client.Client, service string, id int64) (client.DeadLetter, error) {
	letter, err := c.ReplayDeadLetter(ctx, service, id)
	if err != nil {
		return letter, err
	}
	// The limit ends the wait for this one letter only: the replay itself continues in the service.
	ctx, cancel := context.WithTimeout(ctx, a.Patience)
	defer cancel()
	// The service replays in the background, and its answer says only that the replay is scheduled.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for letter.State == client.LetterReplaying {
		select {
		case <-ctx.Done():
			// The time limit ends the wait only: the service still replays the letter.
			return letter, hint.Add(fmt.Errorf("dead letter %d is still being replayed", id), "look again with `pas dead-letters show %d --service %s`", id, service)
		case <-tick.C:
		}
		if letter, err = c.DeadLetter(ctx, service, id); err != nil {
			return letter, err
		}
	}
	if letter.State == client.LetterParked {
		return letter, hint.Add(fmt.Errorf("dead letter %d failed again: %s (%s)", id, letter.Reason, letter.Detail), "repair the cause first, or discard it")
	}
	return letter, nil
}

// lettersDiscard makes `pas dead-letters discard`. The letter stays in the database in the state discarded,
// until room is needed.
func (a *app) lettersDiscard() *cobra.Command {
	return a.letterCommand(&cobra.Command{
		Use:     "discard ID… --service SERVICE",
		Short:   "Give parked messages up for good",
		Example: `  pas dead-letters discard 4 5 --service orders`,
	}, func(ctx context.Context, c *client.Client, service string, id int64) (client.DeadLetter, error) {
		return c.DiscardDeadLetter(ctx, service, id)
	}, func(service string, l client.DeadLetter) {
		a.printer().Line("dead letter %d of %s: %s", l.ID, service, l.State)
	})
}
