// Package stack runs the whole choreography in one process: a private Postgres, an in-process broker, the migrations,
// the topics, and the three services, each exactly as it runs as a process of its own.
//
// It is for `pas demo`, `pas up` and fast end-to-end tests. The embedded broker (kfake) speaks Kafka's protocol but makes
// no promise about durability; give Config.Brokers a real Kafka, and Config.DatabaseURL a real Postgres, to use those.
//
// The services share nothing but the process: each has its own configuration, pools, clients and listeners, and can be
// stopped and started by name. Its address stays the same.
package stack
