package httpx

import (
	"net"
	"net/netip"
	"regexp"
	"strings"
)

// Loopback reports whether only this machine reaches a listener's address.
func Loopback(on net.Addr) bool {
	at, err := netip.ParseAddrPort(on.String())
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// LoopbackName reports whether the host of an address or URL names this machine only. A name other than localhost counts as
// another machine.
func LoopbackName(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// isAddress reports whether a Host without its port is an IP address, an IPv6 one with or without brackets.
func isAddress(host string) bool {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	_, err := netip.ParseAddr(host)
	return err == nil
}

var nameForm = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

// validName reports whether ALLOWED_HOSTS may have the name: a DNS name without port, with * in the place of its first labels, or
// * alone.
func validName(name string) bool {
	name = strings.TrimSpace(name)
	return name == "*" || len(name) < 256 && nameForm.MatchString(name)
}
