package ratelimit

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"pasdetrois/pkg/platform/auth"
)

// Proxies are the networks whose X-Forwarded-For is believed.
type Proxies []netip.Prefix

// ParseProxies reads addresses and networks, such as 10.0.0.0/8.
func ParseProxies(texts []string) (Proxies, error) {
	var all Proxies
	for _, text := range texts {
		text = strings.TrimSpace(text)
		network, err := netip.ParsePrefix(text)
		if one, errOne := netip.ParseAddr(text); errOne == nil {
			network, err = netip.PrefixFrom(one, one.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is not an address or a network such as 10.0.0.0/8", text)
		}
		all = append(all, network.Masked())
	}
	return all, nil
}

func (p Proxies) has(a netip.Addr) bool {
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// client returns the address of the client. Each proxy adds the address of its own client at the right end of X-Forwarded-For.
// So the entries are read from the right, and the first one that is no proxy is the client. Entries further left are the client's
// own words. A malformed entry ends the reading: then its writer is the client.
func (p Proxies) client(r *http.Request) netip.Addr {
	client := address(r.RemoteAddr)
	chain := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(chain) - 1; i >= 0 && p.has(client); i-- {
		before := address(strings.TrimSpace(chain[i]))
		if !before.IsValid() {
			break
		}
		client = before
	}
	return client
}

// address reads an address with or without a port. The zero Addr means that there is none.
func address(text string) netip.Addr {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap()
	}
	one, _ := netip.ParseAddr(text)
	return one.Unmap()
}

// caller names who is counted: the user, else the address. One customer of an IPv6 provider has a whole /64, so it counts as one.
func (p Proxies) caller(r *http.Request) string {
	if user := auth.Of(r.Context()).User; user != "" {
		return "user " + user
	}
	client := p.client(r)
	if client.Is6() {
		network, _ := client.WithZone("").Prefix(64) // an IPv6 address has 128 bits
		return "address " + network.String()
	}
	return "address " + client.String()
}
