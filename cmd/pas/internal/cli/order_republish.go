package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pasdetrois/pkg/platform/wait"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/hint"
)

// republishPage is the most orders of one request, as the service allows.
const republishPage = 100

// orderRepublish makes `pas order republish`. The service publishes the messages through its outbox, so they are published
// also when this process dies after the answer. A repetition is harmless, since the messages keep their ids.
func (a *app) orderRepublish() *cobra.Command {
	var from, to string
	var rate int
	cmd := &cobra.Command{
		Use:   "republish (ORDER-ID… | --placed-from TIME)",
		Short: "Publish the messages of orders again, after Kafka lost them",
		Long: `Let the orders service publish the messages of orders again, with the ids of the first time: of a settled order its outcome
and the request for its email, of another one the request that it waits for, such as payment_requested. A service that has the
message already does nothing: no payment is charged twice and no email is sent twice.

This is for messages that Kafka lost before they were read; "pas audit" names the orders that have no email. Do not use
it while the database of notifications is behind: it would send the emails again (see "pas rebuild").

With --placed-from, all orders placed in that time are taken, newest first: begin early enough for orders that ended later.
--rate limits how many orders are published in a second. An interrupted command can be repeated.`,
		Example: `  pas order republish 1001 1002
  pas order republish --placed-from "2h ago"
  pas order republish --placed-from 2026-01-31T14:00:00Z --placed-to 2026-01-31T15:00:00Z --rate 500`,
		Args: args(cobra.ArbitraryArgs),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, given []string) error {
			began := time.Now()
			switch {
			case len(given) == 0 && from == "":
				return usagef("give the ids of orders, or --placed-from TIME")
			case len(given) > 0 && (from != "" || to != ""):
				return usagef("give either the ids of orders or a time")
			case rate < 1:
				return usagef("--rate %d is less than 1", rate)
			}
			r := &republishing{app: a, client: c, pace: time.Second / time.Duration(rate), began: began, statuses: map[string]int{}}
			if len(given) > 0 {
				return r.done(r.orders(cmd.Context(), given))
			}
			since, err := parsePlaced("--placed-from", from, began)
			if err != nil {
				return err
			}
			until := began
			if to != "" {
				if until, err = parsePlaced("--placed-to", to, began); err != nil {
					return err
				}
			}
			return r.done(r.placed(cmd.Context(), since, until, min(rate, republishPage)))
		}),
	}
	cmd.Flags().StringVar(&from, "placed-from", "", `orders placed at this time or later: a time such as 2026-01-31T15:04:05Z or "2h ago"`)
	cmd.Flags().StringVar(&to, "placed-to", "", "and before this time (default: now)")
	cmd.Flags().IntVar(&rate, "rate", 200, "at most so many orders in a second")
	return cmd
}

// parsePlaced parses a time in the past as parseFrom does. It rejects an offset and the word beginning.
func parsePlaced(flag, text string, now time.Time) (time.Time, error) {
	from, err := parseFrom(text, now)
	if err != nil || from.Time.IsZero() {
		return time.Time{}, usagef(`%s %q is no time in the past such as 2026-01-31T15:04:05Z or "2h ago"`, flag, text)
	}
	return from.Time, nil
}

// republishing is one run of the command.
type republishing struct {
	app      *app
	client   *client.Client
	pace     time.Duration // between two orders
	began    time.Time
	count    int
	statuses map[string]int
}

// orders publishes orders by their ids. It stops at the first one that fails.
func (r *republishing) orders(ctx context.Context, ids []string) error {
	for _, id := range ids {
		done, err := r.client.Republish(ctx, id)
		if err != nil {
			return explainMissing(err, id)
		}
		r.note(done)
		if err := r.rest(ctx); err != nil {
			return err
		}
	}
	return nil
}

// placed publishes the orders of a time, page by page.
func (r *republishing) placed(ctx context.Context, from, to time.Time, limit int) error {
	for cursor := ""; ; {
		page, next, err := r.client.RepublishPlaced(ctx, from, to, limit, cursor)
		if err != nil {
			return err
		}
		for _, done := range page {
			r.note(done)
		}
		if next == "" {
			return nil
		}
		if cursor = next; r.count/10_000 != (r.count-len(page))/10_000 {
			r.app.note("%d orders published again", r.count)
		}
		if err := r.rest(ctx); err != nil {
			return err
		}
	}
}

func (r *republishing) note(done client.Republished) {
	r.count++
	r.statuses[done.Status]++
}

// rest waits until the rate allows the next order.
func (r *republishing) rest(ctx context.Context) error {
	ahead := r.pace*time.Duration(r.count) - time.Since(r.began)
	if ahead > 0 && !wait.Sleep(ctx, ahead) {
		return ctx.Err()
	}
	return nil
}

// done shows the count. The error of a run that failed has the count in its hint.
func (r *republishing) done(err error) error {
	if err != nil {
		if r.count > 0 {
			err = hint.Add(err, "%s published again before that; the command can be repeated", number(r.count, "order was", "orders were"))
		}
		return err
	}
	if r.app.json {
		return r.app.printer().JSON(map[string]any{"orders": r.count, "statuses": r.statuses})
	}
	var counts []string
	for _, status := range slices.Sorted(maps.Keys(r.statuses)) {
		counts = append(counts, fmt.Sprintf("%d %s", r.statuses[status], status))
	}
	if len(counts) == 0 {
		r.app.printer().Line("No order was placed in that time.")
		return nil
	}
	r.app.printer().Line("Messages of %s are published again: %s.", number(r.count, "order", "orders"), strings.Join(counts, ", "))
	return nil
}

// number writes a count with its noun.
func number(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
