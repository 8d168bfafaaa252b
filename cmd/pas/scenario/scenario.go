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

// Need is a capability beyond addresses that a scenario requires of its Env.
type Need string

const (
	// NeedControl requires Env.Control: the scenario stops and starts services.
	NeedControl Need = "control of the services"
	// NeedBooks requires Env.Books: the scenario reads the databases of all services.
	NeedBooks Need = "the records of all services"
	// NeedReplay requires Env.Replay: the scenario makes services read their topics again.
	NeedReplay Need = "a way to replay topics"
)

// Scenario is one possible life of an order. It is a value without state and can be played any number of times.
type Scenario struct {
	Name  string // stable: users give it to --only
	Title string // one line for people
	Needs []Need
	play  func(*act)
}

// Control stops and starts services by name (client.Orders, …). Both methods return when the service has ended
// or is ready.
type Control interface {
	StopService(ctx context.Context, name string) error
	StartService(ctx context.Context, name string) error
}

// Env is the running system on which scenarios are played. A nil field means that the system does not offer
// this part. A scenario that needs it fails in Play; checks that could use it are left out.
type Env struct {
	Client *client.Client
	Kafka  kafka.Config // with the prefixes of the system's topics and groups
	// Control is nil when the caller may not stop the services.
	Control Control
	// Books is nil when the caller has no access to the databases.
	Books Books
	// Replay makes a service read its topics again from the beginning. It is nil when the caller may not do
	// that.
	Replay func(ctx context.Context, service string) (*replay.Report, error)
	// Emails returns every email line written so far. When it is nil, the list of the notifications service is
	// the only proof.
	Emails func() []stack.Email
	// Ledger returns the statuses of the payment provider's own entries about an order (charged, refunded,
	// declined). A double charge shows only there. When it is nil, the answer of the payments service is the
	// only proof.
	Ledger func(ctx context.Context, orderID string) ([]string, error)
	// Patience bounds each wait; 0 means a minute.
	Patience time.Duration
}

// Shown is an order that a scenario placed, as it was at the end. Order is nil when the order does not exist.
type Shown struct {
	OrderID  string         `json:"order_id"`
	Order    *client.Order  `json:"order,omitempty"`
	Timeline []client.Event `json:"timeline"`
	Emails   []stack.Email  `json:"emails"`
}

// Outcome is the result of one scenario.
type Outcome struct {
	Scenario string
	Title    string
	Took     time.Duration
	Shown    []Shown
	Notes    []string // steps and findings that no timeline shows, in order
	Err      error    // nil = every expectation held
}

// Run plays the scenario and returns the first expectation that did not hold, joined with errors of the
// clean-up.
func (s Scenario) Run(ctx context.Context, env *Env) error { return Play(ctx, env, s).Err }

// Missing returns the needs that env does not satisfy.
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

// Play plays one scenario and collects the output. A scenario with unsatisfied needs fails: nothing is silently
// left out. After a cancelled ctx it still cleans up. Scenarios may be played concurrently on one Env, except
// those with Needs.
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

// All returns every scenario, from the simplest to the most demanding.
func All() []Scenario {
	return []Scenario{
		Confirmed(), OutOfStock(), UnknownSKU(), CardDeclined(), SuspectedFraud(),
		CancelledBeforePayment(), CancelledAfterPayment(),
		PostedTwice(), ForeignMessage(), DeliveredTwice(), PoisonMessage(), NotificationsRestarted(),
		SimulatedTraffic(), Replayed(), Audited(),
	}
}

// Find returns the scenarios with the given names, in the order of All; a name given twice counts once. The
// error for an unknown name lists the known ones.
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
