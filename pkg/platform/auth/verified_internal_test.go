package auth

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRememberedTokensAreBounded(t *testing.T) {
	t.Parallel()
	v := newVerified()
	sum := func(i int) (of [sha256.Size]byte) {
		binary.BigEndian.PutUint64(of[:], uint64(i))
		return of
	}
	for i := range 3 * remembered {
		v.add(sum(i), token{caller: User("u")})
		require.LessOrEqual(t, len(v.young)+len(v.old), 2*remembered)
		_, ok := v.get(sum(i))
		require.True(t, ok)
	}
	_, ok := v.get(sum(2*remembered - 1))
	require.True(t, ok, "the older half is still there")
	_, ok = v.get(sum(0))
	require.False(t, ok, "the oldest are forgotten")
}
