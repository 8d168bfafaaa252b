// Package crash proves what docs/operations.md promises about death: the three services, as the processes that they are
// in production, and the broker, a real Kafka, are ended with SIGKILL again and again while customers place and cancel
// orders. Afterwards the test reads the books of the services, of the payment provider and of Kafka. They must agree with the
// answers that customers got: no order is lost, no card is charged twice, no message exists under two ids.
//
// The run has the build tag crash, because it needs a Kafka that may be killed and takes minutes: `make test SUITE=crash`. The
// count has no tag: its test shows the flaws that it notices.
package crash
