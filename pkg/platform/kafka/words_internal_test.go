package kafka

import (
	"errors"
	"fmt"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
)

// rawName is how Kafka names its errors.
var rawName = regexp.MustCompile(`\b[A-Z]+_[A-Z_]+\b`)

func TestNoErrorOfTheBrokerIsToldByItsName(t *testing.T) {
	t.Parallel()
	told := 0
	for code := int16(-1); code < 200; code++ {
		err := kerr.ErrorForCode(code)
		if err == nil || code > 0 && errors.Is(err, kerr.UnknownServerError) {
			continue
		}
		text := Readable(fmt.Errorf("read orders/7: %w", err)).Error()
		require.NotRegexp(t, rawName, text)
		require.Contains(t, text, "read orders/7: ")
		require.NotContains(t, text, "\n")
		told++
	}
	require.Greater(t, told, 100)
}

func TestAnErrorInWordsIsStillTheSameError(t *testing.T) {
	t.Parallel()
	both := errors.Join(fmt.Errorf("a: %w", kerr.UnknownTopicID), fmt.Errorf("b: %w", kerr.InconsistentGroupProtocol))
	plain := Readable(fmt.Errorf("look: %w", both))
	require.ErrorIs(t, plain, kerr.UnknownTopicID)
	require.ErrorIs(t, plain, kerr.InconsistentGroupProtocol)
	require.NotRegexp(t, rawName, plain.Error())
	require.Contains(t, plain.Error(), "a: the topic was deleted (and perhaps created again)")
	require.NoError(t, Readable(nil))
	other := errors.New("other")
	require.Equal(t, other, Readable(other))
}
