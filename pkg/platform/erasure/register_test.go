package erasure

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const tableSQL = `
DO $$ BEGIN CREATE ROLE erased LOGIN PASSWORD 'erased'; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
CREATE SCHEMA erased AUTHORIZATION erased;
SET ROLE erased;
SET search_path = erased;
CREATE TABLE erasures (pseudonym text PRIMARY KEY, key_id text NOT NULL, erased_at timestamptz NOT NULL, times integer NOT NULL DEFAULT 1)`

func migrate(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, tableSQL)
	return errors.Join(err, conn.Close(ctx))
}

// erased records an erasure as a replica with these keys does.
func erased(t *testing.T, db *pgxpool.Pool, keys Keys, user string, at time.Time) {
	t.Helper()
	_, err := db.Exec(t.Context(), `INSERT INTO erasures AS e (pseudonym, key_id, erased_at) VALUES ($1, $2, $3)
ON CONFLICT (pseudonym) DO UPDATE SET erased_at = excluded.erased_at, times = e.times + 1`, keys.Pseudonym(user), keys.ID(), at)
	require.NoError(t, err)
}

// Another replica has a key that this one does not have yet, and erases a user. This one must not write the name again.
func TestNothingIsReadWhileAKeyIsMissing(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, migrate).Pool(t, "erased")
	begun := time.Now().Truncate(time.Second)
	register := NewRegister(db, parsed(t, oldKey), slog.New(slog.DiscardHandler))
	require.NoError(t, register.Load(t.Context()))
	m := messages.Message{ID: "m", Time: begun, Event: messages.PaymentCaptured{OrderID: "o", UserID: "ada", Amount: messages.Money{Minor: 1, Currency: "USD"}, PaymentID: "p"}}
	record, err := m.Record()
	require.NoError(t, err)
	_, _, err = register.Map(m, record)
	require.NoError(t, err)

	erased(t, db, parsed(t, newKey), "ada", begun.Add(time.Second))
	require.ErrorIs(t, register.Load(t.Context()), ErrNoKey)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.Error(t, register.Load(gone), "the database does not answer for a while")
	_, _, err = register.Map(m, record)
	require.ErrorIs(t, err, ErrNoKey)
	require.Equal(t, fault.Transient, fault.KindOf(err), "the record waits")
	require.ErrorIs(t, register.Check(t.Context()), ErrNoKey)
	_, err = NewEraser(db, parsed(t, oldKey), nil, register).Erase(t.Context(), "eve", false)
	require.ErrorContains(t, err, "add it on a line below the others")
	_, err = NewEraser(db, Keys{}, nil, register).Erase(t.Context(), "eve", false)
	require.ErrorContains(t, err, "ERASURE_KEY_FILE is not set: set it")

	_, err = db.Exec(t.Context(), `DELETE FROM erasures`)
	require.NoError(t, err)
	require.NoError(t, register.Load(t.Context()))
	_, _, err = register.Map(m, record)
	require.NoError(t, err)
}

// Of two erasures at the same time the one with the earlier time may be seen later.
func TestAnErasureThatIsSeenLateIsRead(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, migrate).Pool(t, "erased")
	keys, begun := parsed(t, newKey), time.Now().Truncate(time.Second)
	register := NewRegister(db, keys, slog.New(slog.DiscardHandler))
	erased(t, db, keys, "ada", begun)
	erased(t, db, keys, "eve", begun.Add(time.Hour))
	require.NoError(t, register.Load(t.Context()))
	erased(t, db, keys, "ada", begun.Add(time.Minute))
	require.NoError(t, register.Load(t.Context()))
	_, is := register.Of("ada", begun.Add(time.Minute))
	require.True(t, is)
}

func TestAnUnfinishedErasureSaysWhatToDo(t *testing.T) {
	t.Parallel()
	require.Equal(t, "the user has parcels that are not settled: o1, o2: cancel them or wait; "+
		"messages about the user that are not in Kafka yet: 3: wait until the relay has published them",
		(&UnfinishedError{Things: "parcels", Open: []string{"o1", "o2"}, Messages: 3}).Error())
}
