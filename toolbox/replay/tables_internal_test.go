package replay

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
)

func TestSQLAndContractAgreeWhichOrdersAreSettled(t *testing.T) {
	t.Parallel()
	require.Contains(t, ordersSQL, "o.status IN ('"+strings.Join(messages.SettledStatuses(), "', '")+"')")
}
