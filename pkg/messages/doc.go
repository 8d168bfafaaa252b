// Package messages is the contract between the services: the events, their topics, and how they are written on Kafka.
package messages
