package email

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
)

// server is the parsed SMTP_URL.
type server struct {
	host           string
	port           int
	user, password string
	tls            tlsMode
}

type tlsMode int

const (
	startTLS   tlsMode = iota // upgrade the connection, or do not send: the default of smtp://
	tlsFromOn                 // TLS from the first byte: smtps://
	noTLS                     // in clear: smtp://…?tls=none
	submission = 587          // RFC 6409
	submisTLS  = 465          // RFC 8314
)

// ParseURL checks an SMTP_URL: smtp://user:password@host:port?tls=starttls|none, or smtps://user:password@host:port.
// Errors never contain the password. A password for another machine needs TLS: tls=none is rejected with one.
func ParseURL(raw string) error {
	_, err := parseURL(raw)
	return err
}

func parseURL(raw string) (server, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return server{}, errors.New("not a URL") // url.Error holds the whole text, the password with it
	}
	s := server{host: u.Hostname(), user: u.User.Username()}
	s.password, _ = u.User.Password()
	query := u.Query()
	mode := query.Get("tls")
	query.Del("tls")
	switch {
	case u.Scheme == "smtps" && mode == "":
		s.tls, s.port = tlsFromOn, submisTLS
	case u.Scheme == "smtps":
		return server{}, errors.New("smtps:// is encrypted from the start: leave tls= out")
	case u.Scheme != "smtp":
		return server{}, fmt.Errorf("scheme %q is neither smtp nor smtps", u.Scheme)
	case mode == "" || mode == "starttls":
		s.tls, s.port = startTLS, submission
	case mode == "none":
		s.tls, s.port = noTLS, submission
	default:
		return server{}, fmt.Errorf("tls=%s is neither starttls nor none", mode)
	}
	if len(query) > 0 {
		return server{}, errors.New("tls is the only parameter there is")
	}
	if u.User != nil && s.user == "" {
		return server{}, errors.New("the user name is missing")
	}
	if s.host == "" {
		return server{}, errors.New("the host is missing")
	}
	if u.Path != "" && u.Path != "/" {
		return server{}, errors.New("nothing may stand after the port but ?tls=")
	}
	if p := u.Port(); p != "" {
		if s.port, err = strconv.Atoi(p); err != nil || s.port < 1 || s.port > 65535 {
			return server{}, fmt.Errorf("port %s is not between 1 and 65535", p)
		}
	}
	if s.tls == noTLS && u.User != nil && !loopback(s.host) {
		return server{}, errors.New("tls=none would send the password in clear: use starttls or smtps://")
	}
	return s, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

func (s server) address() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }
