package pgdb_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
)

// strict stands in for a pooler at the start of a connection: parameters that it does not follow are refused, as PgBouncer
// does, or dropped, as it does when it is told to and others do by themselves. e2e/pooler has a real PgBouncer.
func strict(t *testing.T, adminURL string, drops bool) (through string) {
	t.Helper()
	u, err := url.Parse(adminURL)
	require.NoError(t, err)
	server := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go pass(client, server, drops)
		}
	}()
	u.Host = l.Addr().String()
	return u.String()
}

func pass(client net.Conn, server string, drops bool) {
	defer client.Close()
	backend := pgproto3.NewBackend(client, client)
	first, err := backend.ReceiveStartupMessage()
	start, ok := first.(*pgproto3.StartupMessage)
	if err != nil || !ok {
		return
	}
	for name := range start.Parameters {
		switch name {
		case "user", "database", "application_name":
			continue
		}
		if !drops {
			backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01", Message: "unsupported startup parameter: " + name})
			_ = backend.Flush()
			return
		}
		delete(start.Parameters, name)
	}
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close()
	out, err := start.Encode(nil)
	if err != nil || binary.BigEndian.Uint32(out) != uint32(len(out)) {
		return
	}
	if _, err := upstream.Write(out); err != nil {
		return
	}
	go func() { _, _ = io.Copy(upstream, client); _ = upstream.Close() }()
	_, _ = io.Copy(client, upstream)
}

// defaults gives the superuser of the test's database what `pas migrate` gives a service's role.
func defaults(t *testing.T, adminURL string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), adminURL)
	require.NoError(t, err)
	defer conn.Close(context.Background())
	for _, s := range pgdb.RoleSettings("public") {
		_, err := conn.Exec(t.Context(), `ALTER ROLE postgres IN DATABASE `+conn.Config().Database+` SET `+s.Name+` = '`+s.Value+`'`)
		require.NoError(t, err)
	}
}

func TestAPoolerIsRecognised(t *testing.T) {
	t.Parallel()
	for name, drops := range map[string]bool{"that refuses parameters": false, "that drops parameters": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			admin := testkit.Database(t, migrate).AdminURL
			defaults(t, admin)
			w := &world{t: t, admin: admin}
			pool := w.open(pgdb.Config{URL: strict(t, admin, drops), Schema: "public", AppName: "shop"})
			var out log
			require.NoError(t, pgdb.Wait(t.Context(), pool, slog.New(slog.NewJSONHandler(&out, nil))))
			require.Len(t, out.lines(), 1)
			require.Contains(t, out.lines()[0], `"INFO","msg":"the database is behind a pooler`)
			for name, want := range map[string]string{"search_path": "public", "enable_seqscan": "off", "application_name": "shop",
				"plan_cache_mode": "force_generic_plan", "lock_timeout": "5s", "client_connection_check_interval": "0"} {
				require.Equal(t, want, show(t, pool, name), name)
			}
			require.EqualValues(t, 0, scan[int64](t, pool, `SELECT count(*) FROM pg_prepared_statements`))
		})
	}
}

func TestBehindAPoolerWhatIsMissingIsSaid(t *testing.T) {
	t.Parallel()
	admin := testkit.Database(t, migrate).AdminURL
	w := &world{t: t, admin: admin}
	pool := w.open(pgdb.Config{URL: strict(t, admin, false), Schema: "public"})
	w.pool = pool
	out, result, stop := w.waiting()
	testkit.Eventually(t, func() error {
		if said := strings.Join(out.lines(), " "); !strings.Contains(said, "the role itself has to have these settings: enable_bitmapscan, enable_hashjoin") ||
			!strings.Contains(said, "run `pas migrate`") {
			return errors.New("it says only: " + said)
		}
		return nil
	})
	stop()
	require.Error(t, <-result)
}

func TestWhatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	admin := testkit.Database(t, migrate).AdminURL
	defaults(t, admin)
	w := &world{t: t, admin: admin}
	var unusable *pgdb.UnusableError
	for _, mode := range []string{"exec", "simple_protocol"} {
		_, err := pgdb.Open(pgdb.Config{URL: admin + "&default_query_exec_mode=" + mode})
		require.ErrorAs(t, err, &unusable)
		require.ErrorAs(t, pgdb.CheckURL(admin+"&default_query_exec_mode="+mode), &unusable)
		require.ErrorContains(t, pgdb.CheckURL("host=localhost default_query_exec_mode="+mode), "leave it out")
	}
	require.NoError(t, pgdb.CheckURL(admin))
	behind := strict(t, admin, false)
	for asked, advice := range map[string]string{
		"default_query_exec_mode=cache_statement": "which does not follow prepared statements: leave it out",
		"default_query_exec_mode=describe_exec":   "leave it out",
		"options=-c%20lock_timeout%3D1s":          "take it out of DATABASE_URL",
	} {
		require.NoError(t, pgdb.Wait(t.Context(), w.open(pgdb.Config{URL: admin + "&" + asked}), slog.New(slog.DiscardHandler)), "without a pooler")
		err := pgdb.Wait(t.Context(), w.open(pgdb.Config{URL: behind + "&" + asked, Schema: "public"}), slog.New(slog.DiscardHandler))
		require.ErrorAs(t, err, &unusable, asked)
		require.ErrorContains(t, err, advice)
	}
	pool := w.open(pgdb.Config{URL: behind + "&default_query_exec_mode=cache_describe", Schema: "public"})
	require.NoError(t, pgdb.Wait(t.Context(), pool, slog.New(slog.DiscardHandler)))
}

func TestWorkThatNeedsASessionIsRefusedThroughAPooler(t *testing.T) {
	t.Parallel()
	admin := testkit.Database(t, migrate).AdminURL
	connect := func(url string) error {
		cfg, err := pgx.ParseConfig(url)
		require.NoError(t, err)
		conn, err := pgdb.ConnectDirect(t.Context(), cfg)
		if err == nil {
			err = conn.Close(t.Context())
		}
		return err
	}
	require.NoError(t, connect(admin))
	for _, drops := range []bool{false, true} {
		var unusable *pgdb.UnusableError
		require.ErrorAs(t, connect(strict(t, admin, drops)), &unusable)
		require.ErrorContains(t, unusable, "give the address of the Postgres server itself")
	}
	conn, err := pgdb.ConnectShared(t.Context(), strict(t, admin, false))
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}
