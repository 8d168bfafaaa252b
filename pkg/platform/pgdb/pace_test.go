package pgdb_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/pgdb"
)

func TestPauseIsLongerAfterASlowPoll(t *testing.T) {
	t.Parallel()
	require.Equal(t, time.Second, pgdb.Pause(time.Second, 0))
	require.Equal(t, time.Second, pgdb.Pause(time.Second, 50*time.Millisecond))
	require.Equal(t, 2*time.Second, pgdb.Pause(time.Second, 100*time.Millisecond))
	require.Equal(t, 30*time.Second, pgdb.Pause(time.Second, time.Hour))
}
