package httpx

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
)

// Edge has the settings for the names by which a server is called, and for web pages that may call it. Its zero value is the
// strictest Edge. The fields are documented by their tags.
type Edge struct {
	AllowedHosts   []string `env:"ALLOWED_HOSTS" desc:"more names under which clients call this server, such as shop.example.com or *.example.com, comma separated; * allows all"`
	AllowedOrigins []string `env:"ALLOWED_ORIGINS" desc:"web pages of other origins that may call this server, such as https://shop.example.com, comma separated"`
}

// Validate returns all problems joined.
func (e Edge) Validate() error {
	var errs []error
	for _, name := range e.AllowedHosts {
		if !validName(name) {
			errs = append(errs, fmt.Errorf("ALLOWED_HOSTS: %q is not a name such as shop.example.com or *.example.com", name))
		}
	}
	for _, origin := range e.AllowedOrigins {
		if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil {
			errs = append(errs, fmt.Errorf("ALLOWED_ORIGINS: %q is not an origin such as https://shop.example.com", origin))
		}
	}
	return errors.Join(errs...)
}

// Refusal answers a request that the edge refuses.
type Refusal func(w http.ResponseWriter, status int, detail string)

// The headers of every answer. An answer may be about a person, so no cache keeps it. A handler may set its own values. The
// slices are shared by all answers: nobody changes them.
var (
	nosniff = []string{"nosniff"}
	noStore = []string{"no-store"}
	// noContent lets a browser load nothing for an answer, and lets no page frame it.
	noContent = []string{"default-src 'none'; frame-ancestors 'none'"}
)

// Guard hands to next the requests that a web page of a stranger cannot have sent, and answers all others with refuse. nil is an
// RFC 9457 problem. on is the address of the listener. Programs such as curl pass: they send no header of a browser.
//
//	name of the server is unknown       421   a stranger's name that leads to this address (DNS rebinding)
//	a change, sent by another origin    403   a form or fetch of a page elsewhere
//	a read by another origin's page     403   except a link that the user follows
//
// /livez and /readyz pass under every name, because balancers and the kubelet choose the name. Under an unknown one the details
// of /readyz are left out.
func (e Edge) Guard(on net.Addr, log *slog.Logger, refuse Refusal, next http.Handler) http.Handler {
	names, cross := newNames(on, e.AllowedHosts), http.NewCrossOriginProtection()
	for _, origin := range e.AllowedOrigins {
		_ = cross.AddTrustedOrigin(origin) // Validate has checked it
	}
	if refuse == nil {
		refuse = problem
	}
	var seldom Seldom
	deny := func(w http.ResponseWriter, status int, detail string) {
		seldom.Warn(log, "refused at the edge", errors.New(detail))
		refuse(w, status, detail)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["X-Content-Type-Options"], h["Cache-Control"], h["Content-Security-Policy"] = nosniff, noStore, noContent
		switch known := names.allow(r.Host); {
		case !known && !probes[r.URL.Path]:
			deny(w, http.StatusMisdirectedRequest, fmt.Sprintf("this server does not answer to the name %q; its operator may allow the name with ALLOWED_HOSTS, in pas with --allowed-host", r.Host))
		case cross.Check(r) != nil || embedded(r) && !allowed(cross, r):
			deny(w, http.StatusForbidden, fmt.Sprintf("a web page of another origin may not call this server; its operator may allow the page with ALLOWED_ORIGINS (origin %q)",
				cmp.Or(r.Header.Get("Origin"), "not sent")))
		case !known:
			next.ServeHTTP(w, Stranger(r))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// probes are the paths that are answered under every name.
var probes = map[string]bool{"/livez": true, "/readyz": true}

// embedded reports whether a page of another origin reads something without its user following a link. The page could not see the
// answer, but the read costs work, and in the REST proxy it moves a consumer. Browsers send these headers to loopback and by TLS.
func embedded(r *http.Request) bool {
	switch site := r.Header.Get("Sec-Fetch-Site"); site {
	case "", "none", "same-origin":
		return false
	default:
		dest := r.Header.Get("Sec-Fetch-Dest")
		return r.Header.Get("Sec-Fetch-Mode") != "navigate" || dest != "" && dest != "document"
	}
}

// allowed reports whether the origin of a read is an allowed one. CrossOriginProtection itself lets every read pass.
func allowed(cross *http.CrossOriginProtection, r *http.Request) bool {
	change := *r
	change.Method = http.MethodPost
	return cross.Check(&change) == nil
}

// names are the names under which a server answers.
type names struct {
	all      bool
	network  bool // the listener is reached from other machines, too
	exact    map[string]bool
	suffixes []string // each with its dot
}

func newNames(on net.Addr, allowed []string) names {
	n := names{network: !Loopback(on), exact: make(map[string]bool)}
	for _, name := range allowed {
		name = strings.ToLower(strings.TrimSpace(name))
		switch suffix, wildcard := strings.CutPrefix(name, "*"); {
		case name == "*":
			n.all = true
		case wildcard:
			n.suffixes = append(n.suffixes, suffix)
		default:
			n.exact[name] = true
		}
	}
	return n
}

// allow reports whether the server answers under a request's Host. For DNS rebinding an attacker needs a name whose addresses the
// attacker chooses. These names are not such:
//
//   - an address, and an absent Host, which no browser sends;
//   - localhost, which browsers resolve themselves;
//   - in a network, names without a dot and those of Kubernetes Services: nobody can register them. A name without a dot depends
//     on the machine's search list, which may be that of a strange network, so a server on loopback refuses it.
func (n names) allow(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if n.all || host == "" || isAddress(host) {
		return true
	}
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || n.exact[name] {
		return true
	}
	if n.network && (!strings.Contains(name, ".") || strings.HasSuffix(name, ".svc") || strings.HasSuffix(name, ".svc.cluster.local")) {
		return true
	}
	for _, suffix := range n.suffixes {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}
