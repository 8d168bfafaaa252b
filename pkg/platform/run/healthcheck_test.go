package run_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// livez starts a server that answers /livez, and returns its port.
func livez(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", answer)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	return port
}

func TestHealthcheckAsksTheServiceBesideIt(t *testing.T) {
	t.Parallel()
	port := livez(t, func(http.ResponseWriter, *http.Request) {})
	for _, addr := range []string{":" + port, "0.0.0.0:" + port, "[::]:" + port, "127.0.0.1:" + port} {
		// The rest of the configuration is not needed, and may be wrong.
		o := call(t, nil, map[string]string{"ADMIN_ADDR": addr, "CONNS": "many"}, "healthcheck")
		require.Equal(t, 0, o.code, o.stderr)
		require.Nil(t, o.got, "a second service must not start")
		require.Empty(t, o.stdout+o.stderr)
	}
}

func TestHealthcheckAsksOverTLSWhereTheServiceSpeaksIt(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	t.Cleanup(server.Close)
	environ := map[string]string{"ADMIN_ADDR": server.Listener.Addr().String(), "DATABASE_URL": "tls"}
	o := call(t, nil, environ, "healthcheck")
	require.Equal(t, 0, o.code, o.stderr)
	delete(environ, "DATABASE_URL")
	require.Equal(t, 1, call(t, nil, environ, "healthcheck").code, "plain HTTP is not what it speaks")
}

func TestHealthcheckFailsUnlessTheServiceSaysThatItLives(t *testing.T) {
	t.Parallel()
	ill := livez(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	gone := make(chan struct{})
	hangs := livez(t, func(http.ResponseWriter, *http.Request) { <-gone })
	t.Cleanup(func() { close(gone) })
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })

	for name, c := range map[string]struct{ addr, says string }{
		"ill":            {":" + ill, "503 Service Unavailable"},
		"hangs":          {":" + hangs, "deadline exceeded"},
		"accepts nobody": {l.Addr().String(), "deadline exceeded"},
		"no address":     {"9080", "ADMIN_ADDR"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := call(t, nil, map[string]string{"ADMIN_ADDR": c.addr}, "healthcheck")
			require.Equal(t, 1, o.code)
			require.Contains(t, o.stderr, c.says)
			require.Len(t, lines(o.stderr), 1)
		})
	}
}
