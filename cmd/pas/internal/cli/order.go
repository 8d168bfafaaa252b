package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/hint"
)

const (
	// maxWait is the longest that the service holds one answer. A longer --wait becomes several requests.
	maxWait     = 30 * time.Second
	waitDefault = "30s"
)

// orderView is an order with its timeline, as --json shows it for order, show and cancel.
type orderView struct {
	Order    client.Order   `json:"order"`
	Timeline []client.Event `json:"timeline"`
}

// order makes `pas order`. The service answers 202 as soon as the order is stored; --wait then follows it to a
// final status. A repetition after an unclear failure is safe with --idempotency-key or --order-id only.
func (a *app) order() *cobra.Command {
	var flags struct {
		order client.NewOrder
		items []string
		total string
		key   string
		wait  time.Duration
	}
	cmd := &cobra.Command{
		Use:   "order --user USER (--item SKU=QUANTITY… | --total AMOUNT)",
		Short: "Place an order and show its timeline",
		Long: `Place an order over HTTP and show it with its timeline. With --wait, the command waits until the order is
settled, and fails (exit code 1) unless it ended confirmed.

An order of items is priced by the catalogue (see "pas inventory"). An order with only a total reserves no stock.
Test payment methods: pm_card_visa, pm_card_chargeDeclined, pm_card_chargeDeclinedInsufficientFunds, pm_card_flaky.`,
		Example: `  pas order --user ada --item vinyl-swan-lake=2 --wait
  pas order --user ada --item vinyl-swan-lake=1 --item record-brush=1 --email ada@example.com
  pas order --user bo --total 49.99 --payment-method pm_card_chargeDeclined --wait=10s
  pas order --user cy --total 10 --idempotency-key cart-4711 --json`,
		Args: args(func(_ *cobra.Command, given []string) error {
			if len(given) == 0 {
				return nil
			}
			if _, err := time.ParseDuration(given[0]); err == nil {
				// pflag took --wait without a value, and the value became an argument.
				return fmt.Errorf("unexpected argument %q: write --wait=%s", given[0], given[0])
			}
			return fmt.Errorf("unexpected argument %q", given[0])
		}),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			order, err := parseOrder(flags.order, flags.items, flags.total)
			if err != nil {
				return err
			}
			// The service itself waits, up to its own limit; finish asks again when --wait is longer.
			placed, _, err := c.Place(cmd.Context(), order, client.PlaceOptions{IdempotencyKey: flags.key, Wait: min(flags.wait, maxWait)})
			if err != nil {
				return explainPlace(err)
			}
			return a.finish(cmd.Context(), c, placed, flags.wait, "confirmed")
		}),
	}
	f := cmd.Flags()
	f.StringVar(&flags.order.UserID, "user", "", "who orders")
	f.StringArrayVar(&flags.items, "item", nil, "SKU=QUANTITY, or SKU for one; can be repeated")
	f.StringVar(&flags.total, "total", "", "amount to pay, such as 49.99; with items it must be what they cost")
	f.StringVar(&flags.order.Currency, "currency", "", "ISO 4217 code (default: the catalogue's, else USD)")
	f.StringVar(&flags.order.PaymentMethod, "payment-method", "", "how to pay (default pm_card_visa)")
	f.StringVar(&flags.order.Email, "email", "", "where to write to (default: the user's address)")
	f.StringVar(&flags.order.OrderID, "order-id", "", "choose the order's id (default: a new one)")
	f.StringVar(&flags.key, "idempotency-key", "", "makes a repetition of this command harmless")
	a.waitFlag(cmd, &flags.wait)
	cobra.CheckErr(cmd.MarkFlagRequired("user"))
	cmd.AddCommand(a.orderHistory(), a.orderRepublish())
	return cmd
}

// waitFlag adds --wait, which needs no value. pflag then requires --wait=10s: in `--wait 10s` the value is an
// argument.
func (a *app) waitFlag(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "wait", 0, "wait until the order is settled, at most this long (--wait alone: "+waitDefault+")")
	cmd.Flags().Lookup("wait").NoOptDefVal = waitDefault
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *wait < 0 {
			return usagef("--wait=%s is less than 0", *wait)
		}
		return nil
	}
}

// parseOrder completes the order from the flags. Prices are left to the catalogue. Each mistake is a usage
// error, and found before the first request.
func parseOrder(order client.NewOrder, items []string, total string) (client.NewOrder, error) {
	if len(items) == 0 && total == "" {
		return order, usagef("an order needs something to pay: give --item SKU=QUANTITY or --total AMOUNT")
	}
	for _, item := range items {
		sku, quantity, given := strings.Cut(item, "=")
		n, err := 1, error(nil)
		if given {
			n, err = strconv.Atoi(quantity)
		}
		if err != nil || n < 1 || sku == "" {
			return order, usagef("--item %q is not SKU=QUANTITY with a quantity of at least 1", item)
		}
		order.Items = append(order.Items, client.NewItem{SKU: sku, Quantity: n})
	}
	if total != "" {
		currency := order.Currency
		if currency == "" {
			currency = messages.DefaultCurrency
		}
		amount, err := messages.ParseMoney(total, currency)
		if err != nil || amount.Minor < 1 {
			return order, usagef("--total %q is not an amount of %s such as 49.99", total, currency)
		}
		order.Total = json.Number(amount.Decimal())
	}
	return order, nil
}

// explainPlace adds a way out to the rejection of an unknown product.
func explainPlace(err error) error {
	var p *client.Problem
	if errors.As(err, &p) && p.Status == http.StatusUnprocessableEntity && strings.Contains(err.Error(), "sku") {
		return hint.Add(err, "see `pas inventory` for what there is")
	}
	return err
}

// show makes `pas show`. Without --wait it shows the order in any status.
func (a *app) show() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "show ORDER-ID",
		Short: "Show an order and its timeline",
		Example: `  pas show 0199c7a2-7f0e-7c3a-9a56-0f6f4f1b2c3d
  pas show 1001 --wait=10s --json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, given []string) error {
			order, err := c.Order(cmd.Context(), given[0], 0)
			if client.Missing(err) {
				return explainNoOrder(cmd.Context(), c, err, given[0])
			}
			if err != nil {
				return explainMissing(err, given[0])
			}
			return a.finish(cmd.Context(), c, order, wait, "")
		}),
	}
	a.waitFlag(cmd, &wait)
	return cmd
}

// explainNoOrder explains an order id that orders does not have. Another producer may have requested a payment
// under this id directly on Kafka; then the error names that payment.
func explainNoOrder(ctx context.Context, c *client.Client, err error, id string) error {
	// A failure of payments must not hide the answer of orders, so it is dropped.
	p, unpaid := c.Payment(ctx, id)
	if unpaid != nil || !p.Outside {
		return explainMissing(err, id)
	}
	return fmt.Errorf("order %s was never placed, but another producer requested a payment of %s %s with this id: it is %s; see `pas order history`",
		id, p.Amount, p.Currency, p.Status)
}

// cancel makes `pas cancel`. The request is idempotent, so an unclear failure can simply be repeated.
func (a *app) cancel() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "cancel ORDER-ID",
		Short: "Cancel an order; what was paid is refunded",
		Long: `Cancel an order. One that is not paid for yet is called off; one that is paid is refunded and its pieces are
restocked. Cancelling twice changes nothing. With --wait, the command waits for the end, and fails (exit code 1) unless
it is cancelled then.`,
		Example: `  pas cancel 0199c7a2-7f0e-7c3a-9a56-0f6f4f1b2c3d --wait`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, given []string) error {
			order, err := c.Cancel(cmd.Context(), given[0])
			if err != nil {
				return explainMissing(err, given[0])
			}
			return a.finish(cmd.Context(), c, order, wait, "cancelled")
		}),
	}
	a.waitFlag(cmd, &wait)
	return cmd
}

// explainMissing adds a way out to the error for an unknown order. An invalid order from Kafka has no row, but
// a dead letter.
func explainMissing(err error, id string) error {
	if client.Missing(err) {
		return hint.Add(fmt.Errorf("there is no order %q", id), "check the id; an order that came over Kafka may be among `pas dead-letters list`")
	}
	return err
}

// finish shows an order and its timeline. With a wait it first waits until the order is settled. It then fails
// unless the order is settled as wanted; "" accepts every final status. The output comes before the failure.
// Without a wait it never fails on a status.
func (a *app) finish(ctx context.Context, c *client.Client, order client.Order, wait time.Duration, wanted string) error {
	deadline := time.Now().Add(wait)
	for wait > 0 && !order.Settled() {
		left := time.Until(deadline)
		if left <= 0 {
			break
		}
		now, err := c.Order(ctx, order.OrderID, min(left, maxWait))
		if err != nil {
			// The caller must learn the id: without it, a lost answer would look like a lost order.
			return fmt.Errorf("order %s was placed, but: %w", order.OrderID, err)
		}
		order = now
	}
	timeline, err := c.Timeline(ctx, order.OrderID)
	if err != nil {
		return err
	}
	if a.json {
		err = a.printer().JSON(orderView{Order: order, Timeline: timeline})
	} else {
		a.printer().Order(order, timeline)
	}
	switch {
	case err != nil || wait <= 0:
		return err
	case !order.Settled():
		return hint.Add(fmt.Errorf("order %s is still %s after %s", order.OrderID, order.Status, wait), "look again with `pas show %s --wait`", order.OrderID)
	case wanted != "" && order.Status != wanted:
		return fmt.Errorf("order %s ended %s (%s), not %s", order.OrderID, order.Status, order.Reason, wanted)
	}
	return nil
}
