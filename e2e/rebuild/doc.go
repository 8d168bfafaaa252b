// Package rebuild proves what `pas rebuild` promises: what was decided stays decided. The three services, as the processes that
// they are in production, work on a real Kafka while customers fight for scarce goods, are declined, cancel and pay too late. At a
// moment that a seed chooses the databases are copied. Later they are put back to that moment or to nothing, one of them or all,
// and `pas rebuild` makes them again from the topics, killed and started anew at moments that the seed chooses. Afterwards each
// order must be as its customer saw it. Nobody may be charged, refunded or mailed again. The payment provider's books are not
// put back: they are outside.
//
// An order whose messages had not reached Kafka cannot be made again. The judge counts such orders, and asks for a reason.
//
// The run has the build tag rebuild, because it needs a Kafka and takes minutes: `make test SUITE=rebuild`. The judge has no tag:
// its test shows the flaws that it notices.
package rebuild
