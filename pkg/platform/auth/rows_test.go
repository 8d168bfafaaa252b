package auth_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/auth"
)

func TestAFilterNeverReachesRowsOfAnother(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		caller auth.Caller
		asked  string
		user   string
		ok     bool
	}{
		"anyone, all rows":           {auth.Anyone, "", "", true},
		"anyone, a user's":           {auth.Anyone, "bob", "bob", true},
		"a user, all rows":           {auth.User("ada", auth.Read), "", "ada", true},
		"a user, its own":            {auth.User("ada", auth.Read), "ada", "ada", true},
		"a user, another's":          {auth.User("ada", auth.Read), "bob", "", false},
		"a user, other case":         {auth.User("ada", auth.Read), "Ada", "", false},
		"a caller without a user":    {auth.User("", auth.Read), "", "", false},
		"nobody":                     {auth.Caller{}, "", "", false},
		"support, all rows":          {auth.User("sue", auth.ReadAll), "", "", true},
		"support, a user's":          {auth.User("sue", auth.ReadAll), "bob", "bob", true},
		"an admin without a user":    {auth.User("", auth.Admin), "", "", true},
		"an admin, rows of somebody": {auth.User("root", auth.Admin), "bob", "bob", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			user, ok := c.caller.Filter(c.asked)
			require.Equal(t, c.ok, ok)
			require.Equal(t, c.user, user)
		})
	}
	require.Nil(t, auth.OnlyOf(auth.User("sue", auth.ReadAll).Reads()))
	require.Equal(t, "ada", *auth.OnlyOf(auth.User("ada").Reads()))
	require.Equal(t, "sue", *auth.OnlyOf(auth.User("sue", auth.ReadAll).Writes()))
	require.Empty(t, *auth.OnlyOf(auth.Caller{}.Reads()))
}
