package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/replay"
)

// Need is a capability that a scenario wants from its Env beyond addresses.
type Need string

const (
	// NeedControl is the need for an Env.Control: the scenario stops and starts services.
	NeedControl Need = "control of the services"
	// NeedBooks is the need for Env.Books: the scenario looks at the databases of all services.
	NeedBooks Need = "the books of all services"
	// NeedReplay is the need for Env.Replay: the scenario lets services read their topics again.
	NeedReplay Need = "a way to replay topics"
)

// Scenario is one thing that can happen to an order.
type Scenario struct {
	Name  string // stable, for --only
	Title string // one line for people
	Needs []Need
	play  func(*act)
}

// Control stops and starts services by name (client.Orders, …).
type Control interface {
	StopService(ctx context.Context, name string) error
	StartService(ctx context.Context, name string) error
}

// Env is the running system that scenarios are played on.
type Env struct {
	Client *client.Client
	Kafka  kafka.Config // with the prefixes of the system's topics and groups
	// Control is nil when the services are not ours to stop.
	Control Control
	// Books is nil when the databases are not ours to look at.
	Books Books
	// Replay lets a service read its topics again from their beginning. It is nil when that is not ours to do.
	Replay func(ctx context.Context, service string) (*replay.Report, error)
	// Emails returns every email line written so far. When nil, what the notifications service lists is trusted alone.
	Emails func() []stack.Email
	// Ledger returns the payment provider's own entries about an order, by their status (charged, refunded, declined):
	// that is where charging twice would show. When nil, what the payments service answers is trusted alone.
	Ledger func(ctx context.Context, orderID string) ([]string, error)
	// Patience bounds each wait; 0 = 20 s.
	Patience time.Duration
}

// Shown is an order that a scenario placed, as it was at the end.
type Shown struct {
	OrderID  string         `json:"order_id"`
	Order    *client.Order  `json:"order,omitempty"`
	Timeline []client.Event `json:"timeline"`
	Emails   []stack.Email  `json:"emails"`
}

// Outcome is what came of one scenario.
type Outcome struct {
	Scenario string
	Title    string
	Took     time.Duration
	Shown    []Shown
	Notes    []string // what was done and seen outside the timelines, in order
	Err      error    // nil = every expectation held
}

// Run plays the scenario and returns the first expectation that did not hold.
func (s Scenario) Run(ctx context.Context, env *Env) error { return Play(ctx, env, s).Err }

// Missing returns what the scenario needs and env does not offer.
func (s Scenario) Missing(env *Env) []Need {
	var missing []Need
	for _, need := range s.Needs {
		if need == NeedControl && env.Control != nil || need == NeedBooks && env.Books != nil || need == NeedReplay && env.Replay != nil {
			continue
		}
		missing = append(missing, need)
	}
	return missing
}

// Play plays one scenario and collects what there is to show. A scenario whose needs are not met fails: nothing is
// silently left out.
func Play(ctx context.Context, env *Env, s Scenario) Outcome {
	began := time.Now()
	outcome := Outcome{Scenario: s.Name, Title: s.Title}
	if missing := s.Missing(env); len(missing) > 0 {
		outcome.Err = fmt.Errorf("needs %s, which this environment does not offer", missing[0])
		return outcome
	}
	a := newAct(ctx, env)
	s.play(a)
	outcome.Took = time.Since(began)
	outcome.Err = errors.Join(a.err, a.close())
	outcome.Notes = a.notes
	outcome.Shown = a.show()
	return outcome
}

// All returns every scenario, in the order in which they are best read.
func All() []Scenario {
	return []Scenario{
		Confirmed(), OutOfStock(), UnknownSKU(), CardDeclined(), SuspectedFraud(),
		CancelledBeforePayment(), CancelledAfterPayment(),
		PostedTwice(), ForeignMessage(), DeliveredTwice(), PoisonMessage(), NotificationsRestarted(),
		SimulatedTraffic(), Replayed(), Audited(),
	}
}

// Find returns the scenarios with the given names, in the order of All. An unknown name is an error that lists the
// known ones.
func Find(names ...string) ([]Scenario, error) {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	var found []Scenario
	known := make([]string, 0, len(All()))
	for _, s := range All() {
		known = append(known, s.Name)
		if wanted[s.Name] {
			found = append(found, s)
			delete(wanted, s.Name)
		}
	}
	for _, name := range names {
		if wanted[name] {
			return nil, fmt.Errorf("no scenario is called %q: there are %s", name, strings.Join(known, ", "))
		}
	}
	return found, nil
}
