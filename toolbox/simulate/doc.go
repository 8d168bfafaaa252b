// Package simulate is a shop's traffic: shoppers whose sessions become web events, and whose checkouts become orders.
//
// # The same again
//
// Traffic (seed, users, shares, rate and length) and the catalogue alone decide what happens. The same input gives the
// same sessions, carts, payment methods and moments. Only the run's name differs: it begins the id of every order and
// session, so a second run makes new orders. A run whose name was used already repeats its orders: the service
// recognises them and sells nothing twice.
//
// # Open load
//
// Orders are due at moments that nothing delays, and every latency counts from the moment when its order was due. So
// the latencies of a system that falls behind grow, as its customers would see it.
//
//	plan ── step ──> Writer (web events; never waits)
//	          └────> slot ──> POST ──> open order ──> email of its outcome ──> settled
//	                           │ answer              (watch asks for it)
//	                           ├ refused: dropped
//	                           └ unknown: uncertain, until watch finds the order or a 404
//
// # Memory
//
// It does not depend on the length of a run: sessions of the next seconds, counters, and orders that are not settled.
// Of these there are maxOpen at most. Further ones wait, are counted, and their latency shows the wait.
package simulate
