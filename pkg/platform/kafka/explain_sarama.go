package kafka

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
)

// explain says in one line what to do about an error of the connection to Kafka, where that is known.
func (c Config) Explain(err error) error {
	var code sarama.KError
	switch {
	case errors.As(err, &code):
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed): // wrapped so that errors.As does not find it
		code = sarama.ErrSASLAuthenticationFailed
	case errors.Is(err, sarama.ErrOutOfBrokers) && c.Access.SASL() && errors.Unwrap(err) == nil:
		code = sarama.ErrUnsupportedSASLMechanism // the only refusal that the client keeps to itself
	}
	return Explain(c.Brokers, c.Access, err, int16(code))
}

// explained is explain for what a connection was opened for.
func (c Config) Explained(operation string, err error) error {
	explained := c.Explain(err)
	var p *Problem
	if errors.As(explained, &p) {
		return p
	}
	return fmt.Errorf("%s: %w", operation, err)
}
