// Package chaos breaks a whole system again and again while customers order, and counts afterwards. On a real Kafka and a
// real Postgres, two replicas of each service run as they are shipped; a supervisor starts a process that ended again after
// a second, as compose and Kubernetes do. Customers place 100 orders a second and note each answer. A seed chooses the
// faults. At the end the audit of `pas audit --topics` and the customers' notes must agree: no order is lost, doubled,
// oversold or unsettled 60 s after the last one, and every service is back by itself.
//
// Each row of the campaign is one kind of fault, on a fresh database and fresh topics. The campaign has the build tag chaos,
// because it needs a Kafka that may be killed: `make chaos`, or for seconds `make test SUITE=chaos`. The verdict has no tag: its
// test shows the flaws that it notices.
package chaos
