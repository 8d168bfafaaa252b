package pgdb_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const ddl = `
CREATE TABLE goose_db_version (version_id bigint NOT NULL, is_applied boolean NOT NULL);
INSERT INTO goose_db_version VALUES (0, true), (1, true);
CREATE TABLE things (
  name text PRIMARY KEY,
  size smallint NOT NULL CONSTRAINT thing_size CHECK (size > 0),
  CONSTRAINT thing_size_once UNIQUE (size) DEFERRABLE INITIALLY DEFERRED
);`

func migrate(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, ddl)
	return errors.Join(err, conn.Close(ctx))
}

// world is one test's database behind a proxy, and a pool of a single connection that goes through the proxy.
type world struct {
	t     *testing.T
	admin string // the database's URL past the proxy
	proxy *proxy
	pool  *pgxpool.Pool
}

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, admin: testkit.Database(t, migrate).AdminURL}
	w.proxy = startProxy(t, w.admin)
	w.pool = w.open(pgdb.Config{URL: w.proxy.url, MaxConns: 1})
	return w
}

func (w *world) open(cfg pgdb.Config) *pgxpool.Pool {
	w.t.Helper()
	pool, err := pgdb.Open(cfg)
	require.NoError(w.t, err)
	w.t.Cleanup(pool.Close)
	return pool
}

// scan runs a query with one value.
func scan[T any](t *testing.T, q pgdb.Querier, sql string) T {
	t.Helper()
	var v T
	require.NoError(t, q.QueryRow(t.Context(), sql).Scan(&v))
	return v
}

const (
	insertSQL = `INSERT INTO things VALUES ('a', 1)`
	countSQL  = `SELECT count(*) FROM things`
	pidSQL    = `SELECT pg_backend_pid()`
)

// What a proxy does with a connection.
const (
	forwards = iota
	refuses  // closes it at once
	hangs    // takes it and never answers
	loses    // forwards up to COMMIT, and its answer no more
)

// commitBound is in what a client sends to have its prepared COMMIT executed: the unnamed portal, and the name that pgx
// prepares the statement under. Preparing it has no portal.
var commitBound = func() []byte {
	sum := sha256.Sum256([]byte("commit"))
	return []byte("\x00stmtcache_" + hex.EncodeToString(sum[:24]) + "\x00")
}()

// proxy stands between a pool and the server.
type proxy struct {
	url    string
	target string
	mu     sync.Mutex
	mode   int
	conns  []net.Conn
	taken  int // connections, since the last change
	all    sync.WaitGroup
}

func startProxy(t *testing.T, server string) *proxy {
	t.Helper()
	u, err := url.Parse(server)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{target: u.Host}
	u.Host = l.Addr().String()
	p.url = u.String()
	p.all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.all.Go(func() { p.handle(client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.become(refuses)
		p.all.Wait()
	})
	return p
}

// become changes what happens to connections from now on, and cuts those that there are.
func (p *proxy) become(mode int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns, p.taken = nil, 0
}

// asked tells how many connections there were since the last change.
func (p *proxy) asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// keep remembers connections to cut. It returns the mode.
func (p *proxy) keep(conns ...net.Conn) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, conns...)
	p.taken++
	return p.mode
}

func (p *proxy) handle(client net.Conn) {
	defer client.Close()
	mode := p.keep(client)
	switch mode {
	case refuses:
		return
	case hangs:
		_, _ = io.Copy(io.Discard, client)
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	p.keep(server)
	var committing sync.WaitGroup
	lost := make(chan struct{})
	committing.Go(func() {
		defer server.(*net.TCPConn).CloseWrite()
		buffer := make([]byte, 64<<10)
		for {
			n, err := client.Read(buffer)
			if mode == loses && bytes.Contains(buffer[:n], commitBound) {
				close(lost)
				mode = forwards
			}
			if _, writeErr := server.Write(buffer[:n]); err != nil || writeErr != nil {
				return
			}
		}
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		select {
		case <-lost:
			_ = client.Close()
			committing.Wait()
			return
		default:
		}
		if _, writeErr := client.Write(buffer[:n]); err != nil || writeErr != nil {
			_ = client.Close()
			committing.Wait()
			return
		}
	}
}
