package httpx

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
)

// strangerKey is the context key of a request to the admin server that has not shown to be an operator's.
type strangerKey struct{}

// Stranger returns a request that may see no details: /readyz answers it with the names of the checks alone.
func Stranger(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), strangerKey{}, true))
}

func isStranger(ctx context.Context) bool { return ctx.Value(strangerKey{}) != nil }

// TLS returns the state of the connection of a request's context, and false for a connection without TLS. net/http finds no TLS
// of its own, because the connection is counted above it.
func TLS(ctx context.Context) (tls.ConnectionState, bool) {
	one, _ := ctx.Value(connectionKey{}).(*connection)
	if one == nil {
		return tls.ConnectionState{}, false
	}
	secured, ok := one.Conn.(*tls.Conn)
	if !ok {
		return tls.ConnectionState{}, false
	}
	return secured.ConnectionState(), true
}

// Ends returns both ends of the connection of a request's context, nil outside of a request.
func Ends(ctx context.Context) (client, server net.Addr) {
	conn, _ := ctx.Value(connectionKey{}).(net.Conn)
	if conn == nil {
		return nil, nil
	}
	return conn.RemoteAddr(), conn.LocalAddr()
}

// Problem writes an RFC 9457 document, with the status's own name as its title.
func Problem(w http.ResponseWriter, status int, detail string) { problem(w, status, detail) }
