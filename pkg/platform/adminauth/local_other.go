//go:build !linux

package adminauth

import (
	"net"
	"net/http"

	"pasdetrois/pkg/platform/httpx"
)

// isOwnUser reports whether the client of the request is on this machine: this system does not list whose connection it is.
func isOwnUser(r *http.Request) bool {
	client, _ := httpx.Ends(r.Context())
	from, ok := client.(*net.TCPAddr)
	return ok && from.IP.IsLoopback()
}
