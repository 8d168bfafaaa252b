package pgdb_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/pgdb"
)

func TestURLOfAnotherRoleOrDatabase(t *testing.T) {
	t.Parallel()
	const admin = "postgres://postgres:se%40cret@localhost:5432/postgres?sslmode=disable"
	require.Equal(t, "postgres://a-orders:a-orders@localhost:5432/postgres?sslmode=disable", pgdb.As(admin, "a-orders"))
	require.Equal(t, "postgres://postgres:se%40cret@localhost:5432/demo?sslmode=disable", pgdb.In(admin, "demo"))
	require.Equal(t, "host=localhost user=postgres", pgdb.As("host=localhost user=postgres", "orders"))
	require.Equal(t, ":/", pgdb.In(":/", "demo"))
}
