// Package strangers holds the tests that share consumer groups with other people's clients, KafkaJS and librdkafka, on a real
// Kafka, and that follow an order with an EventSource. They are built with the tag `clients`, and use what
// e2e/clients/install has installed, once and in pinned versions.
package strangers
