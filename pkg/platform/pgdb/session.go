package pgdb

import (
	"context"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// isolation is the level that the use cases need. A database or a role may have another default.
const isolation = "default_transaction_isolation"

// limits bound how long a session may hold up others. A process that is frozen or cut off cannot end its own transactions:
// its locks stay until the server ends the session. Each limit is a parameter of the connection; the URL may set another
// value.
//
// The server ignores the TCP settings where it cannot follow them, as on a Unix socket.
var limits = [...]struct{ name, value string }{
	{"statement_timeout", "20s"},                  // below the 30 s that a message has for one attempt
	{"lock_timeout", "5s"},                        // a statement that waits longer fails, and is retried
	{"idle_in_transaction_session_timeout", "5s"}, // our transactions wait for Postgres only
	{"tcp_keepalives_idle", "10"},
	{"tcp_keepalives_interval", "5"},
	{"tcp_keepalives_count", "3"},
	{"tcp_user_timeout", "25s"}, // for a client that does not take the answer: keepalives do not run then
}

// checkConnectionSQL makes the server check, while a statement runs, that its client is still there. Postgres before 14 has no
// such setting, and some platforms allow only 0: as a startup parameter it would be fatal there.
const (
	checkConnection    = "client_connection_check_interval"
	checkConnectionSQL = "SET " + checkConnection + " = '5s'"
)

// bound sets limits on a session. It leaves a session that a pooler shares as it is.
func bound(c *pgx.ConnConfig, databaseURL string, shared func() bool) {
	options := c.RuntimeParams["options"] // -c name=value, which a parameter of the same name would override
	chosen := func(name string) bool {
		_, set := c.RuntimeParams[name]
		return set || strings.Contains(options, name)
	}
	for _, l := range limits {
		if !chosen(l.name) {
			c.RuntimeParams[l.name] = l.value
		}
	}
	sql := readOnlySQL
	if !chosen(checkConnection) {
		sql += "; " + checkConnectionSQL
	}
	asked := c.ValidateConnect
	writes := asked == nil && !choosesServer(databaseURL)
	c.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		if asked != nil {
			if err := asked(ctx, conn); err != nil {
				return err
			}
		}
		if shared() {
			return validate(ctx, conn, readOnlySQL, writes)
		}
		return validate(ctx, conn, sql, writes)
	}
}

// choosesServer reports whether the URL or the environment restricts the servers that may be used.
func choosesServer(databaseURL string) bool {
	return os.Getenv("PGTARGETSESSIONATTRS") != "" || option(databaseURL, serversOption) != ""
}

// validate checks a new connection, in one round trip. A server that rejects checkConnectionSQL is used without it.
func validate(ctx context.Context, conn *pgconn.PgConn, sql string, writes bool) error {
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err != nil && (serverError(err) == nil || len(results) == 0) {
		return err
	}
	if writes && string(results[0].Rows[0][0]) == "on" {
		return ErrReadOnly
	}
	return nil
}
