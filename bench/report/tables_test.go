package report

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNumbersHaveThreeDigits(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 7: "7", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 1234: "1,234", 1_234_567: "1,234,567", math.Pi * 1000: "3,142"} {
		require.Equal(t, want, digits(v))
	}
}
