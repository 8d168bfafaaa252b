package email_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"
)

// The mail server is this test's own binary, started a second time: a real process on a real port that can be killed.
// What it does with an email is decided by the address, see session.

// serverEnv holds a serverConfig in the second process.
const serverEnv = "NOTIFICATIONS_TEST_SMTP_SERVER"

type serverConfig struct {
	Addr string
	TLS  string // none, starttls, smtps
	User string // "" = no login needed
	Pass string
}

// line is what the server tells the test on its standard output.
type line struct {
	Addr, Cert     string // once, when it listens
	From, To, Data string // for each email it took
	Refused        string // for each recipient it did not
}

// mailServer is the test's side of the process.
type mailServer struct {
	t     *testing.T
	cfg   serverConfig
	cmd   *exec.Cmd
	cert  *x509.CertPool
	lines chan line
}

// startServer starts a mail server and waits until it listens.
func startServer(t *testing.T, cfg serverConfig) *mailServer {
	t.Helper()
	s := &mailServer{t: t, cfg: cfg, lines: make(chan line, 1000), cert: x509.NewCertPool()}
	env, err := json.Marshal(cfg)
	require.NoError(t, err)
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(os.Environ(), serverEnv+"="+string(env))
	s.cmd.Stderr = os.Stderr
	_, err = s.cmd.StdinPipe() // it ends when this end closes, so it never outlives the test
	require.NoError(t, err)
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for in := bufio.NewScanner(out); in.Scan(); {
			var l line
			if json.Unmarshal(in.Bytes(), &l) == nil {
				s.lines <- l
			}
		}
	}()
	t.Cleanup(func() {
		s.kill()
		<-done
	})
	up := s.next()
	require.NotEmpty(t, up.Addr, "the mail server did not start")
	s.cfg.Addr = up.Addr
	s.cert.AppendCertsFromPEM([]byte(up.Cert))
	return s
}

// kill ends the process as SIGKILL does.
func (s *mailServer) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// next returns what the server told next.
func (s *mailServer) next() line {
	s.t.Helper()
	select {
	case l := <-s.lines:
		return l
	case <-time.After(20 * time.Second):
		s.t.Fatal("the mail server told nothing in time")
		panic("unreachable")
	}
}

// serve is the server process.
func serve(env string) error {
	var cfg serverConfig
	if err := json.Unmarshal([]byte(env), &cfg); err != nil {
		return err
	}
	pair, certificate, err := selfSigned()
	if err != nil {
		return err
	}
	b := &backend{cfg: cfg, refusals: make(map[string]int), stop: make(chan struct{})}
	server := smtp.NewServer(b)
	server.Domain, server.AllowInsecureAuth = "mail.test", true
	server.ErrorLog = discard{}
	listener, err := listen(cfg.Addr)
	if err != nil {
		return err
	}
	if cfg.TLS == "smtps" {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}})
	}
	if cfg.TLS == "starttls" {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	tell(line{Addr: listener.Addr().String(), Cert: certificate})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return server.Serve(listener)
}

// listen listens on addr, or on a port that no outgoing connection is given by the system: one that is started again must
// find its port free.
func listen(addr string) (net.Listener, error) {
	if addr != "" {
		return net.Listen("tcp", addr)
	}
	var err error
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+mathrand.IntN(20_000))); err == nil {
			return l, nil
		}
	}
	return nil, err
}

func selfSigned() (tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(text), nil
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

var telling sync.Mutex

func tell(l line) {
	telling.Lock()
	defer telling.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(l)
}

type backend struct {
	cfg      serverConfig
	stop     chan struct{}
	mu       sync.Mutex
	refusals map[string]int
}

func (b *backend) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{backend: b, conn: c}, nil
}

// session answers by address:
//
//	banned@…     as a sender: 550
//	unknown@…    550 at RCPT        spam@…    554 after DATA      grey-N@…  451 the first N times, at RCPT
//	rcpt-CODE-X-Y@…  CODE 5.X.Y at RCPT, without an enhanced code when X is 0; data-CODE-X-Y@… the same after DATA
//	late-MS@…    takes it after so many milliseconds
//	slow@…       no answer at RCPT  silent@…  no answer after DATA  leaving@… takes it, then cuts the connection
type session struct {
	*backend
	conn     *smtp.Conn
	loggedIn bool
	from, to string
	leave    bool
}

func refuse(code, class int, text string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{class, 1, 1}, Message: text}
}

func (s *session) AuthMechanisms() []string {
	if s.cfg.User == "" {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.cfg.User || password != s.cfg.Pass {
			return smtp.ErrAuthFailed
		}
		s.loggedIn = true
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.cfg.User != "" && !s.loggedIn {
		return refuse(530, 5, "authentication required")
	}
	if strings.HasPrefix(from, "banned@") {
		return refuse(550, 5, "go away")
	}
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	name, _, _ := strings.Cut(to, "@")
	var times int
	switch {
	case name == "unknown":
		tell(line{Refused: to})
		return refuse(550, 5, "no such user")
	case strings.HasPrefix(name, "rcpt-"):
		tell(line{Refused: to})
		return answered(strings.TrimPrefix(name, "rcpt-"))
	case name == "slow":
		tell(line{Refused: to})
		<-s.stop
	case scanned(name, "grey-%d", &times):
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.refusals[to]++; s.refusals[to] <= times {
			tell(line{Refused: to})
			return refuse(451, 4, "greylisted, try again")
		}
	}
	return nil
}

// answered returns the refusal that CODE-X-Y names; a suffix tells recipients apart.
func answered(name string) error {
	var code, subject, detail int
	if n, _ := fmt.Sscanf(name, "%d-%d-%d", &code, &subject, &detail); n != 3 {
		return refuse(451, 4, "not an answer: "+name)
	}
	e := &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{5, subject, detail}, Message: "as asked"}
	if subject == 0 {
		e.EnhancedCode = smtp.NoEnhancedCode
	}
	return e
}

func scanned(name, format string, times *int) bool {
	n, _ := fmt.Sscanf(name, format, times)
	return n == 1
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(s.to, "@")
	if after, ok := strings.CutPrefix(name, "data-"); ok {
		tell(line{Refused: s.to})
		return answered(after)
	}
	var late int
	if scanned(name, "late-%d", &late) {
		<-time.After(time.Duration(late) * time.Millisecond)
	}
	switch name {
	case "spam":
		tell(line{Refused: s.to})
		return refuse(554, 5, "this looks like spam")
	case "silent":
		tell(line{Refused: s.to})
		<-s.stop
	case "leaving":
		s.leave = true
	}
	tell(line{From: s.from, To: s.to, Data: string(data)})
	return nil
}

// Reset is called after the answer to DATA was written.
func (s *session) Reset() {
	if s.leave {
		_ = s.conn.Conn().Close()
	}
}

func (s *session) Logout() error { return nil }
