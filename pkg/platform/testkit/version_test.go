package testkit_test

import (
	"context"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

// `make test SUITE=postgres` would prove nothing if another server answered.
func TestTheServerIsOfTheVersionThatIsAskedFor(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), testkit.Database(t, migrate).AdminURL)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	var version string
	require.NoError(t, conn.QueryRow(t.Context(), `SHOW server_version`).Scan(&version))
	require.Regexp(t, `^`+os.Getenv("PAS_POSTGRES_VERSION")+`\d*\.`, version)
}
