package httpx

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNegotiateFollowsTheMostSpecificRange(t *testing.T) {
	t.Parallel()
	const json, stream, none = "application/json", "text/event-stream", ""
	for accept, want := range map[string]string{
		"": json, "*/*": json, " , ": none, "text/*": stream, "application/*;q=0.1, text/*;q=0.2": stream,
		"text/event-stream, */*": json, "*/*;q=0.5, text/event-stream": stream, "Text/Event-Stream": stream,
		"application/json;q=0": none, "application/json;q=0, */*": stream, "application/json;q=-1": none, "image/png": none,
		"application/json;q=nonsense, text/event-stream;q=0.1": stream, "application/json;q=NaN": none,
	} {
		require.Equal(t, want, Negotiate(accept, json, stream), "Accept: %s", accept)
	}
}
