package pgdb_test

import (
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/pgdb"
)

func TestEachCodeOfTheServerHasItsOutcome(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for code, want := range map[string]pgdb.Outcome{
		"40001": pgdb.Again, "40P01": pgdb.Again,
		"25006": pgdb.Unavailable, "25P03": pgdb.Unavailable, "25P04": pgdb.Unavailable, "55P03": pgdb.Unavailable,
		"55000": pgdb.Unavailable, "57014": pgdb.Unavailable, "57P01": pgdb.Unavailable, "57P03": pgdb.Unavailable,
		"28P01": pgdb.Unavailable, "28000": pgdb.Unavailable, "53300": pgdb.Unavailable, "53100": pgdb.Unavailable,
		"58030": pgdb.Unavailable, "08006": pgdb.Unavailable, "40003": pgdb.Unavailable, "42501": pgdb.NotSetUp,
		"42P01": pgdb.NotSetUp, "42883": pgdb.NotSetUp, "3D000": pgdb.NotSetUp, "26000": pgdb.Unavailable,
		"22001": pgdb.Refused, "22003": pgdb.Refused, "23514": pgdb.Refused,
		"23505": pgdb.Unexpected, "42601": pgdb.Unexpected, "0A000": pgdb.Unexpected, "XX000": pgdb.Unexpected,
		"XX001": pgdb.Unexpected, "P0001": pgdb.Unexpected,
	} {
		_, err := w.pool.Exec(t.Context(), fmt.Sprintf(`DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '%s'; END $$`, code))
		require.Equal(t, code, pgError(err).Code)
		err = fmt.Errorf("wrapped: %w", err)
		require.Equal(t, want, pgdb.OutcomeOf(err), code)
		require.Equal(t, want != pgdb.Refused && want != pgdb.Unexpected, pgdb.IsUnavailable(err), code)
		require.Equal(t, want == pgdb.Refused, fault.KindOf(pgdb.Classify(err)) == fault.Permanent, code)
	}
}

// Whatever the server's words are when it lets nobody in, the request is not at fault.
// A server that is killed may cut its answer off: pgx tells of that by the reader's own errors.
func TestAnAnswerThatIsCutOffIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, cut := range []error{io.ErrUnexpectedEOF, io.EOF} {
		require.Equal(t, pgdb.Unavailable, pgdb.OutcomeOf(fmt.Errorf("lock orders: %w", cut)))
	}
}

func TestAServerThatLetsNobodyInIsUnavailable(t *testing.T) {
	t.Parallel()
	w := setup(t)
	cfg, err := pgx.ParseConfig(w.admin)
	require.NoError(t, err)
	for _, change := range []func(){
		func() { cfg.Database = "nowhere" },
		func() { cfg.RuntimeParams["no_such_setting"] = "1" }, // as of a pooler that takes no parameters
		func() { cfg.User = "nobody_of_that_name" },
	} {
		change()
		_, err := pgx.ConnectConfig(t.Context(), cfg)
		require.Equal(t, pgdb.Unavailable, pgdb.OutcomeOf(err), "%v", err)
	}
}
