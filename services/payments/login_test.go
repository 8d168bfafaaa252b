package payments_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/auth/authtest"
)

func TestEachOperationNeedsALogin(t *testing.T) {
	t.Parallel()
	login := authtest.Start(t)
	w := setup(t)
	w.cfg.Auth = login.Settings()
	require.Equal(t, 2, w.start().NeedsLogin(login))
}
