// Package lanes reads Kafka behind watermill's message.Subscriber: each partition is split into lanes, and the records of
// one lane are handled one after another.
package lanes
