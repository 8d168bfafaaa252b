// Package crash proves what docs/operations.md promises about death: the three services, as the processes that they are
// in production, and the broker, a real Kafka, are ended with SIGKILL again and again while customers place and cancel
// orders. Afterwards everybody's books are read, the payment provider's and Kafka's included, and have to agree with what
// the customers were told: nothing is lost, nobody is charged twice, nothing is told twice as two messages.
//
// The run itself has the build tag crash and a make target of its own, test-crash: it needs a Kafka that may be killed,
// and takes minutes. The count has no tag: its own test shows what it notices.
package crash
