// Package kafka connects to Kafka: where the brokers are, how a client logs in and encrypts, and which error means what.
// The services' client (sarama) and the tool's (franz-go) get the same settings with the same meaning.
package kafka
