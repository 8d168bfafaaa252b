package kafka

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Explain returns err as a *Problem, which says in one line what to do, when the cause is known. It takes errors of sarama
// and of franz-go.
func (c Config) Explain(err error) error {
	var code sarama.KError
	var other *kerr.Error
	switch {
	case errors.As(err, &other):
		code = sarama.KError(other.Code)
	case errors.As(err, &code):
	case errors.Is(err, sarama.ErrSASLAuthenticationFailed): // wrapped so that errors.As does not find it
		code = sarama.ErrSASLAuthenticationFailed
	case errors.Is(err, sarama.ErrOutOfBrokers) && c.Access.SASL() && errors.Unwrap(err) == nil:
		code = sarama.ErrUnsupportedSASLMechanism // the only refusal that the client keeps to itself
	}
	return Explain(c.Brokers, c.Access, err, int16(code))
}

// Explained is Explain, and names the operation where the cause is unknown.
func (c Config) Explained(operation string, err error) error {
	explained := c.Explain(err)
	var p *Problem
	if errors.As(explained, &p) {
		return p
	}
	return fmt.Errorf("%s: %w", operation, err)
}
