// Package scenario plays the possible lives of an order, through the public HTTP APIs and a plain Kafka client.
// It checks every consequence: the order's status, the stock before and after, the payment, and exactly which
// emails went out.
//
// A scenario does not depend on how the services run. `pas demo` plays the scenarios on the embedded stack, and
// the end-to-end tests play the same ones on a real one. A scenario that needs more than addresses declares it
// in Needs: one that stops a service needs a Control.
//
// Guarantees: a scenario makes its own product and users with unique names. So scenarios do not disturb each
// other, and can be played again on a stack that is in use. A scenario waits on states and on committed
// consumer offsets, never on time alone; Env.Patience only bounds each wait.
//
// How one performance runs:
//
//	Play: newAct -> play (steps; after the first failure, each step is skipped)
//	             -> close (undo, start stopped services) -> show (orders, timelines, emails)
//
// To add a scenario, write a function that returns a Scenario and list it in All.
package scenario
