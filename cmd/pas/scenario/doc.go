// Package scenario plays what can happen to an order, through the public HTTP APIs and a plain Kafka client, and checks
// every consequence: the order's status, the stock before and after, the payment, and exactly which emails went out.
//
// A scenario knows nothing about how the services run. The same scenarios are played by `pas demo` on the embedded
// stack and by the end-to-end tests on a real one. What a scenario needs beyond addresses it declares as Needs: one that
// stops a service needs a Control.
//
// Guarantees: a scenario makes its own product and users with unique names, so that scenarios do not disturb each
// other and can be played again on a stack that is in use. It waits on states and on committed consumer offsets, never
// on time alone; Env.Patience only bounds how long it waits before it fails.
package scenario
