package feed

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A topic may end with control records, which Poll never returns: CatchUp reads past them and does not wait.
func TestCatchUpReturnsTheRecordsUpToNowAndDoesNotWaitForMore(t *testing.T) {
	t.Parallel()
	cfg := setup(t)
	cfg.Follow = true
	c := client(t, cfg)
	write(t, c, cfg, 0, "before")
	f := open(t, cfg)
	read := func() (values []string) {
		records, err := f.CatchUp(t.Context())
		require.NoError(t, err)
		for _, r := range records {
			values = append(values, string(r.Value))
		}
		return values
	}
	require.Empty(t, read(), "it begins where the topic ended")
	write(t, c, cfg, 0, "a")
	write(t, c, cfg, 1, "b")
	require.ElementsMatch(t, []string{"a", "b"}, read())

	writer := client(t, cfg, kgo.TransactionalID(cfg.Kafka.TopicPrefix+"catch-up"))
	require.NoError(t, writer.BeginTransaction())
	write(t, writer, cfg, 0, "aborted")
	require.NoError(t, writer.EndTransaction(t.Context(), kgo.TryAbort))
	require.Empty(t, read())
	write(t, c, cfg, 0, "c")
	require.Equal(t, []string{"c"}, read())
}
