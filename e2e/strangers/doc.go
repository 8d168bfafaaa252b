// Package strangers holds the tests that share consumer groups with other people's clients, KafkaJS and librdkafka, on a real
// Kafka, and that follow an order with an EventSource. They are built with the tag `clients`, need node with npm and
// python3 with pip, and install the versions of package.json and requirements.txt.
package strangers
