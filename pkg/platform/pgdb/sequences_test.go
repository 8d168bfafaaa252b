package pgdb_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/pgdb"
)

const numberedSQL = `
CREATE SCHEMA "odd ""name";
CREATE TABLE "odd ""name"."a table" ("its id" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text UNIQUE);
CREATE TABLE letters (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text UNIQUE);
INSERT INTO letters (note) SELECT n::text FROM generate_series(1, 3) AS n;`

func TestASequenceBehindItsRowsIsNoticed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	pool := w.open(pgdb.Config{URL: w.admin})
	_, err := pool.Exec(t.Context(), numberedSQL)
	require.NoError(t, err)
	require.NoError(t, pgdb.CheckSequences(t.Context(), pool), "rows and sequences agree")

	insert := func() error {
		_, err := pool.Exec(t.Context(), `INSERT INTO letters (note) VALUES ('new')`)
		return pgdb.OnConflict(err, "letters")
	}
	behind := new(pgdb.SequenceError)
	for last, is := range map[string]bool{"1, false": true, "1": true, "2": true, "3": false, "3, false": true, "4, false": false, "9": false} {
		_, err := pool.Exec(t.Context(), fmt.Sprintf(`SELECT setval('letters_id_seq', %s)`, last))
		require.NoError(t, err)
		err = pgdb.CheckSequences(t.Context(), pool)
		require.Equal(t, is, errors.As(err, &behind), "%s: %v", last, err)
		if is {
			err = insert()
			require.ErrorAs(t, err, &behind, last)
			require.Contains(t, err.Error(), "run `pas migrate`")
			require.Equal(t, pgdb.NotSetUp, pgdb.OutcomeOf(fmt.Errorf("keep: %w", err)), "it passes when an operator has acted")
			require.Equal(t, fault.Transient, fault.KindOf(pgdb.Classify(err)), "no message is parked for it")
		}
	}
	_, err = pool.Exec(t.Context(), `SELECT setval('letters_id_seq', 3)`)
	require.NoError(t, err)
	require.NoError(t, insert())
	err = insert()
	require.True(t, pgdb.IsUniqueViolation(err, "letters_note_key"), "%v", err)
	require.False(t, errors.As(err, &behind), "another key is no matter of the sequence")

	_, err = pool.Exec(t.Context(), `INSERT INTO "odd ""name"."a table" OVERRIDING SYSTEM VALUE VALUES (7, 'seven')`)
	require.NoError(t, err)
	found, err := pgdb.SequencesBehind(t.Context(), pool, `odd "name`)
	require.NoError(t, err)
	require.Equal(t, []pgdb.Sequence{{Table: `"odd ""name"."a table"`, Column: "its id", Name: `"odd ""name"."a table_its id_seq"`, Highest: 7}}, found)
	found, err = pgdb.SequencesBehind(t.Context(), pool, "nowhere")
	require.NoError(t, err)
	require.Empty(t, found)
}
