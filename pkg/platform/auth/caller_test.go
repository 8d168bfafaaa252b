package auth

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	all := []Scope{Write, Read, ReadAll, Admin}
	for name, c := range map[string]struct {
		caller        Caller
		may           []Scope
		reads, writes bool // everybody's
	}{
		"nobody":          {Caller{}, nil, false, false},
		"anyone":          {Anyone, all, true, true},
		"without a scope": {User("ada"), nil, false, false},
		"a user":          {User("ada", Write, Read), []Scope{Write, Read}, false, false},
		"support":         {User("sue", ReadAll), []Scope{Read, ReadAll}, true, false},
		"admin":           {User("", Admin), all, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range all {
				require.Equal(t, slices.Contains(c.may, s), c.caller.May(s), s)
			}
			user, only := c.caller.Reads()
			require.Equal(t, c.reads, !only)
			require.Equal(t, only, user == c.caller.User && only)
			_, only = c.caller.Writes()
			require.Equal(t, c.writes, !only)
			require.Equal(t, c.caller, Of(With(t.Context(), c.caller)))
		})
	}
	require.Equal(t, Anyone, Of(t.Context()))
}
