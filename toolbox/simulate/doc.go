// Package simulate is a shop's traffic: shoppers whose sessions become web events, and whose checkouts become orders.
//
// What happens is decided by Traffic alone (its seed, users, shares, rate and length) and the catalogue: the same again
// gives the same sessions, carts, payment methods and moments. The run's name is the only other thing in it: it begins
// every order's and session's id, so that a second run makes new orders. A run with a name that was used already repeats
// its orders: the service recognises them and nothing is sold twice.
//
// Load is open-loop: orders are due at moments that nothing delays, and every latency counts from when its order was due.
// A system that falls behind is seen to fall behind.
//
// Memory is bounded whatever the length of a run: sessions of the next seconds, orders that are not settled (up to
// maxOpen; further ones wait, are counted, and their latency shows it) and counters.
package simulate
