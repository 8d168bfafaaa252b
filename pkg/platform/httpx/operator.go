package httpx

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
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

// Bearer returns the bearer token of a request (RFC 6750). ok is false for another scheme and for no or several Authorization
// headers: a proxy in between may have read another one of them.
func Bearer(r *http.Request) (token string, ok bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", false
	}
	return strings.TrimSpace(token), true
}

// Problem writes an RFC 9457 document, with the status's own name as its title.
func Problem(w http.ResponseWriter, status int, detail string) { problem(w, status, detail) }
