package cli

import (
	"cmp"
	"net"
	"strings"

	"pasdetrois/pkg/platform/httpx"
)

const allowedHostUsage = "one more name under which clients call this server, such as kafka.example.com; give it again for each"

// onLoopback completes the address of a server without a login: a port alone is a port of this machine only. ok is false when addr
// is not host:port.
func onLoopback(addr string) (full string, ok bool) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr, false
	}
	return net.JoinHostPort(cmp.Or(host, "127.0.0.1"), port), true
}

// validHosts checks the names of --allowed-host.
func validHosts(edge httpx.Edge) error {
	if err := edge.Validate(); err != nil {
		return usagef("--allowed-host: %s", strings.TrimPrefix(err.Error(), "ALLOWED_HOSTS: "))
	}
	return nil
}
