// Package kafka connects to Kafka: the brokers' addresses, encryption, login, and the meaning of errors. The services use
// the clients sarama and franz-go, the tool uses franz-go. Both get the same settings with the same meaning, so a login that
// works for the tool works for a service.
//
//	Config, Access    settings, and their checks before any request is sent
//	ClientConfig      sarama: connections that end with a context; Secure adds login, TLS and compression
//	Options           franz-go: the same
//	Explain           an error of either client as one line with a remedy
//	AskTopics,        one question each, without retries: the caller repeats it
//	AskLogs,
//	AskProgress
//	CreateTopics, ... administration, for the tool
package kafka
