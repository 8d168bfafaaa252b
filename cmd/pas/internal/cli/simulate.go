package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/hint"
	"pasdetrois/toolbox/simulate"
)

const (
	// The limits keep a typing error from filling the memory. minBuy bounds the number of sessions for one
	// order.
	maxRate   = 10_000
	maxUsers  = 1_000_000_000
	maxAmount = 1_000_000_000
	minBuy    = 0.01
)

// simulateFlags are the flags beside those of Kafka. withoutWeb means that Kafka is not used.
type simulateFlags struct {
	traffic          simulate.Traffic
	run              string
	day, settle      time.Duration
	flat, withoutWeb bool
}

// simulate makes `pas simulate`. An interrupt ends the traffic early and is no failure: the summary is still
// shown.
//
// The traffic is an open loop: orders are due at moments that no slow answer delays. The seed decides sessions,
// carts and moments; the run's name decides the ids. So the same seed with another name is the same load with
// new orders.
func (a *app) simulate() *cobra.Command {
	kafka, flags := &kafkaFlags{}, &simulateFlags{}
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Let shoppers browse, fill carts and order, and measure how long orders take",
		Long: `Shoppers visit the shop: their page views, searches, carts and checkouts are written to the topic web-events, and each
checkout is an order over HTTP. Popular products are wanted most (Zipf), the run is one day from midnight to midnight
unless --day says otherwise, and some shoppers pay with a declined card, order for more than the fraud limit, or cancel.

Orders are due at moments that nothing delays (open loop), and latency counts from when an order was due. An order is
settled when the email about its outcome has gone out, by the clock of the notifications service. Stock is not refilled:
see "pas inventory restock". Ctrl-C ends the traffic and shows the summary. Exit code 1 when an order is not settled
--settle after the traffic ended, when events were lost, or when no order was taken.

The same --seed, other flags and catalogue give the same sessions, carts, payment methods and moments. Ids of orders and
sessions begin with the run's name, a new one each time, so that a second run places new orders. With --run NAME again,
it places the same orders again: the service knows them, nothing is sold twice, and they are counted as repeated.`,
		Example: `  pas topics create web-events --partitions 1 && pas simulate
  pas simulate --rate 50 --duration 5m --users 10000 --seed 42
  pas simulate --no-events --flat --declined 0.2 --over-limit 0 --cancelled 0.1
  pas simulate --seed 42 --run monday --json | jq .post_to_email.p95_ms`,
		Args: args(cobra.NoArgs),
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			if err := flags.complete(cmd.Flags().Changed("seed")); err != nil {
				return err
			}
			var open func(context.Context) (simulate.Writer, error)
			cfg, err := a.kafka(*kafka)
			if err != nil {
				return err
			}
			// A nil open means no web events, and no connection to Kafka.
			if !flags.withoutWeb {
				open = func(ctx context.Context) (simulate.Writer, error) { return simulate.OpenWriter(ctx, cfg, a.Patience) }
			}
			at, err := a.endpoints()
			if err != nil {
				return err
			}
			// The traffic has many requests at a time. With the usual number of idle connections, most would
			// open a new one.
			c := client.NewBusy(at, simulate.Connections)
			defer c.Close()
			if err := errors.Join(a.logIn(c), a.operate(c, at)); err != nil {
				return err
			}
			line := a.liveLine()
			answered := a.waits("the services and " + kafkaAt(cfg))
			defer answered()
			summary, err := simulate.Run(cmd.Context(), simulate.Config{Traffic: flags.traffic, Run: flags.run, Shop: c, Open: open,
				OpenTime: a.Patience, Settle: flags.settle, Progress: func(p simulate.Progress) {
					answered()
					line.progress(p)
				}})
			line.end()
			if err != nil {
				return err
			}
			return a.showSimulated(summary, flags.settle)
		}),
	}
	kafka.add(cmd)
	flags.add(cmd)
	return cmd
}

func (s *simulateFlags) add(cmd *cobra.Command) {
	f, t := cmd.Flags(), &s.traffic
	f.Float64Var(&t.Rate, "rate", 5, "orders per second on the average")
	f.DurationVar(&t.Duration, "duration", time.Minute, "how long there is traffic")
	f.IntVar(&t.Users, "users", 1000, "how many shoppers there are")
	f.Uint64Var(&t.Seed, "seed", 0, "gives the same traffic again (default: another one each time)")
	f.StringVar(&s.run, "run", "", "begins the ids of orders and sessions (default: a new one each time)")
	f.DurationVar(&s.day, "day", 0, "how long a simulated day takes (default: as long as --duration)")
	f.BoolVar(&s.flat, "flat", false, "the same traffic at all hours of the day")
	f.Float64Var(&t.Buy, "buy", 0.3, "share of sessions that end in an order")
	f.Float64Var(&t.Declined, "declined", 0.05, "share of orders paid with a card that is declined")
	f.Float64Var(&t.OverLimit, "over-limit", 0.02, "share of orders that cost more than the fraud limit")
	f.Int64Var(&t.FraudLimit, "fraud-limit", 900, "the fraud limit in USD, as the payments service has it (FRAUD_LIMIT)")
	f.Float64Var(&t.Cancelled, "cancelled", 0.03, "share of orders that are cancelled within two seconds")
	f.DurationVar(&s.settle, "settle", 30*time.Second, "how long after the traffic the last orders may take")
	f.BoolVar(&s.withoutWeb, "no-events", false, "write no web events: Kafka is not needed")
}

// complete checks the flags and fills in missing ones. seeded reports whether --seed was given: 0 is a valid
// seed.
func (s *simulateFlags) complete(seeded bool) error {
	t := &s.traffic
	for _, share := range []struct {
		name  string
		value float64
	}{{"declined", t.Declined}, {"over-limit", t.OverLimit}, {"cancelled", t.Cancelled}} {
		// The negated form also rejects NaN.
		if !(share.value >= 0 && share.value <= 1) {
			return usagef("--%s %g is not a share between 0 and 1", share.name, share.value)
		}
	}
	switch {
	case !(t.Rate > 0 && t.Rate <= maxRate):
		return usagef("--rate %g is not more than 0 and at most %d orders per second", t.Rate, maxRate)
	case t.Duration <= 0:
		return usagef("--duration %s is not more than 0", t.Duration)
	case t.Users < 1 || t.Users > maxUsers:
		return usagef("--users %d is not between 1 and %d", t.Users, maxUsers)
	case !(t.Buy >= minBuy && t.Buy <= 1):
		return usagef("--buy %g is not a share between %g and 1", t.Buy, minBuy)
	case t.FraudLimit < 1 || t.FraudLimit > maxAmount:
		return usagef("--fraud-limit %d is not between 1 and %d", t.FraudLimit, maxAmount)
	case s.day < 0:
		return usagef("--day %s is less than 0", s.day)
	case s.day > 0 && s.flat:
		return usagef("--day and --flat are both given: keep one")
	case s.settle < 0:
		return usagef("--settle %s is less than 0", s.settle)
	case s.run != "" && !regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`).MatchString(s.run):
		return usagef("--run %q is not 1 to 64 letters, digits, '.', '_' and '-'", s.run)
	}
	// Traffic with a daily curve needs a day's length; 0 means flat.
	if t.Day = s.day; t.Day == 0 && !s.flat {
		t.Day = t.Duration
	}
	// The service recognises an order by its id, so a repeated name would place the same orders again.
	if s.run == "" {
		s.run = uuid.NewString()[:8]
	}
	if !seeded {
		t.Seed = uint64(rand.Uint32N(math.MaxInt32)) // short enough to be typed again
	}
	return nil
}

// verdict returns the reason why the run failed, or nil. An interrupted run fails only for lost events: orders
// that were cut off prove nothing.
func verdict(s simulate.Summary, settle time.Duration) error {
	switch {
	case s.Orders > 0 && s.Taken == 0 && !s.Interrupted:
		return hint.Add(errors.New("not one order was taken"), "see the answers above, and the log of the orders service")
	// The outcomes could not be read, so the orders may be settled all the same.
	case s.Unsettled > 0 && s.Blind != "" && !s.Interrupted:
		return fmt.Errorf("%d of %d orders are not known to be settled %s after the traffic: %s", s.Unsettled, s.Orders, settle, s.Blind)
	case s.Unsettled > 0 && !s.Interrupted:
		return hint.Add(fmt.Errorf("%d of %d orders are not settled %s after the traffic", s.Unsettled, s.Orders, settle),
			"see `pas show %s`, or allow more time with --settle", s.UnsettledExamples[0])
	case s.EventsProblem != "":
		return hint.Add(fmt.Errorf("%d events were lost: %s", s.EventsLost, s.EventsProblem), "check that Kafka runs and has room")
	}
	return nil
}
