package kafka

import (
	"errors"
	"fmt"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Explain returns err as a *Problem when its cause is known, else err itself. It accepts errors of sarama and of franz-go, and
// finds the protocol's code in either. See the function Explain.
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
		code = sarama.ErrUnsupportedSASLMechanism // sarama returns every other refusal, but hides this one
	}
	return Explain(c.Brokers, c.Access, err, int16(code))
}

// Explained is Explain, and wraps an error of unknown cause with the operation. A *Problem needs no operation: its text names
// the remedy, and that is the same for every operation. err must not be nil.
func (c Config) Explained(operation string, err error) error {
	explained := c.Explain(err)
	var p *Problem
	if errors.As(explained, &p) {
		return p
	}
	return fmt.Errorf("%s: %w", operation, err)
}
