// Package stack runs the whole choreography in one process: a private Postgres, an in-process broker, the
// migrations, the topics, and the three services. Each service runs as it does in a process of its own.
//
// It serves `pas demo`, `pas up` and fast end-to-end tests. The embedded broker (kfake) speaks Kafka's protocol
// but makes no promise about durability. Config.Brokers names a real Kafka instead, and Config.DatabaseURL a
// real Postgres.
//
// The services share nothing but the process: each has its own configuration, pools, clients and listeners. A
// service can be stopped and started by name. Its address remains the same.
//
// Start and Stop work in this order. A busy port fails first, and no service outlives the servers that it uses:
//
//	Start: ports, broker and topics, Postgres and migrations, services, readiness
//	Stop:  services (all at once), broker, Postgres
package stack
