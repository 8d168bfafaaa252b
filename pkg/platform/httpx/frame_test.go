package httpx

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A request of which net/http has the first byte is net/http's, whatever the rest of it looks like: what would be left of it
// would become a part of the next request.
func TestARequestThatNetHTTPHasBegunIsNotRefusedHere(t *testing.T) {
	t.Parallel()
	rest := []byte("POST /orders HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
	var f frame
	require.True(t, f.next(rest).plain)
	require.Nil(t, f.next([]byte("X")))
	require.False(t, f.next(rest).plain)
	require.True(t, f.next(rest).plain)
}
