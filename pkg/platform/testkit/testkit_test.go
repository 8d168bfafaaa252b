package testkit_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// migrate stands in for migrations: a role that owns a schema of its name.
func migrate(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `
		DO $$ BEGIN CREATE ROLE testkit_shop LOGIN PASSWORD 'testkit_shop'; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
		CREATE SCHEMA testkit_shop AUTHORIZATION testkit_shop;
		CREATE TABLE testkit_shop.things (n int);
		ALTER TABLE testkit_shop.things OWNER TO testkit_shop`)
	return errors.Join(err, conn.Close(ctx))
}

func TestEveryTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	var migrations atomic.Int32
	counted := func(ctx context.Context, adminURL string) error {
		migrations.Add(1)
		return migrate(ctx, adminURL)
	}
	outer := testkit.Database(t, counted)
	var inner string
	t.Run("another test", func(t *testing.T) {
		pool := testkit.Database(t, counted).Pool(t, "testkit_shop")
		_, err := pool.Exec(t.Context(), `INSERT INTO things VALUES (1)`)
		require.NoError(t, err)
		var user string
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT current_user, current_database()`).Scan(&user, &inner))
		require.Equal(t, "testkit_shop", user, "as the service, not as the superuser")
	})
	require.LessOrEqual(t, migrations.Load(), int32(1), "the others are copies")

	pool := outer.Pool(t, "testkit_shop")
	var things, left int
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM things`).Scan(&things))
	require.Zero(t, things)
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_database WHERE datname = $1`, inner).Scan(&left))
	require.Zero(t, left, "it is dropped with its test")
}

func TestTopicsOfTwoTestsNeverMeet(t *testing.T) {
	t.Parallel()
	require.NotEqual(t, testkit.Prefix(t), testkit.Prefix(t))
	require.Regexp(t, `^t[a-z0-9]{10}\.$`, testkit.Prefix(t))
}

func TestGivenBrokersAreUsed(t *testing.T) { // changes the environment, so not parallel
	t.Setenv("KAFKA_BROKERS", "a:1,b:2")
	require.Equal(t, []string{"a:1", "b:2"}, testkit.Brokers(t))
}
