// Package embedded starts a private Postgres and an in-process broker that speaks Kafka's protocol, for `pas demo`,
// `pas up` and tests. Neither Docker nor root nor any set-up beyond Go is needed.
//
// It is not for production: by default neither server survives a loss of power.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"pasdetrois/pkg/platform/wait"
)

// PostgresConfig configures StartPostgres.
type PostgresConfig struct {
	DataDir  string       // "" = a temporary folder, removed at Stop, in memory when not Durable; else kept and used again
	Port     int          // 0 = any free port
	Durable  bool         // fsync and synchronous_commit as Postgres has them; else off
	Settings []string     // settings of the server, each as name=value
	Log      *slog.Logger // logs a download; may be nil
}

// Postgres is a running private server. It listens on loopback only, and each login needs its password.
//
//	initdb (new folder) --> launched --answers with our folder--> ready --Stop--> ended
//	                          |  ^
//	                          |  | again, with another free port if any is allowed, for retryTimeout
//	                          +--+ ended at once, or another server has the port
type Postgres struct {
	port     int
	password string              // of the superuser
	bin      string              // folder of the server's programs
	who      *syscall.Credential // user of the server; nil = this process's
	temp     string              // folder to remove at Stop
	cmd      *exec.Cmd
	exited   chan struct{} // closed when the server has ended
}

const (
	startTimeout = 60 * time.Second // for initdb and the start, without a download
	retryTimeout = 15 * time.Second // for starting a server again that ends at once
	stopTimeout  = 20 * time.Second // for a fast shutdown; after it the server is killed
)

// StartPostgres finds installed server binaries (PATH, the usual places), else downloads them, and starts a server on
// loopback. As root it runs the server as an unprivileged user, because Postgres refuses to run as root. The server ends
// with this process, also when it is killed (on Linux).
//
// It returns once the server answers. After an error no server runs, and a temporary folder is removed. Servers on different
// folders may start at the same time.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	from, err := usualSource(cfg.Log)
	if err != nil {
		return nil, err
	}
	bin, err := from.binaries(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	who, err := unprivileged()
	if err != nil {
		return nil, err
	}
	p := &Postgres{bin: bin, who: who}
	base := cfg.DataDir
	if base == "" {
		scratch := ScratchFolder
		if cfg.Durable {
			scratch = diskFolder
		}
		if base, err = scratch(); err != nil {
			return nil, fmt.Errorf("make a data folder: %w", err)
		}
		p.temp = base
	}
	if err := p.start(ctx, bin, base, who, cfg); err != nil {
		p.removeTemp()
		return nil, err
	}
	return p, nil
}

// start makes the cluster if the folder has none, and starts the server, again until it answers or retryTimeout is over. Without
// Durable it never waits for a disk, so a crash of the machine may destroy the cluster. A crash of the server does not.
func (p *Postgres) start(ctx context.Context, bin, base string, who *syscall.Credential, cfg PostgresConfig) error {
	base, err := filepath.Abs(base)
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if err := os.MkdirAll(base, 0o755); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	if who != nil {
		if err := os.Chown(base, int(who.Uid), int(who.Gid)); err != nil {
			return fmt.Errorf("give the data folder to the server's user: %w", err)
		}
	}
	if p.password, err = readPassword(base); err != nil {
		return err
	}
	data := filepath.Join(base, "pg")
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); errors.Is(err, os.ErrNotExist) {
		// Without PG_VERSION there is no cluster, only the remains of an interrupted initdb.
		if err := os.RemoveAll(data); err != nil {
			return fmt.Errorf("clear data folder: %w", err)
		}
		if p.password == "" {
			p.password = newPassword()
			if err := p.writePassword(base); err != nil {
				return err
			}
		}
		args := []string{"-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile=" + filepath.Join(base, passwordFile),
			"-E", "UTF8", "--locale=C"}
		if !cfg.Durable {
			args = append(args, "--no-sync")
		}
		initdb := command(ctx, filepath.Join(bin, "initdb"), base, who, args...)
		if out, err := initdb.CombinedOutput(); err != nil {
			return fmt.Errorf("initdb as %s: %w: %s (a folder that only root can enter cannot be used)", name(who), err, out)
		}
	}
	args := []string{"-D", data, "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "max_connections=500", "-c", "timezone=UTC"}
	if !cfg.Durable {
		args = append(args, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
	}
	for _, setting := range cfg.Settings {
		args = append(args, "-c", setting)
	}
	log, err := os.OpenFile(filepath.Join(base, "postgres.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the server's log: %w", err)
	}
	defer log.Close()
	for patience := time.Now().Add(retryTimeout); ; {
		if p.port = cfg.Port; p.port == 0 {
			if p.port, err = freePort(); err != nil {
				return err
			}
		}
		err := p.demandPassword(ctx, base, data)
		if err == nil {
			err = p.run(ctx, base, data, append(args, "-p", strconv.Itoa(p.port)), log)
		}
		if err == nil {
			return nil
		}
		// The server of a process that was killed a moment ago may still be ending on the same folder. Another program may also
		// have taken the free port since freePort returned it.
		if time.Now().After(patience) || !wait.Sleep(ctx, 300*time.Millisecond) {
			return fmt.Errorf("start postgres: %w: %s", err, lastLines(log.Name()))
		}
	}
}

// run launches the server once, and returns when it answers. After an error it has ended.
func (p *Postgres) run(ctx context.Context, base, data string, args []string, log *os.File) error {
	// ctx bounds only the start, and the server outlives that.
	p.cmd = command(context.WithoutCancel(ctx), filepath.Join(p.bin, "postgres"), base, p.who, args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.launch(); err != nil {
		return err
	}
	if err := p.waitReady(ctx, data); err != nil {
		return errors.Join(err, p.end())
	}
	return nil
}

// lastLines returns the last three lines of the server's log, which name the reason of its end.
func lastLines(path string) string {
	content, _ := os.ReadFile(path)
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}

// launch starts the server on a thread of its own, which lives as long as the server: the kernel ties the death signal
// to the thread that made the child.
func (p *Postgres) launch() error {
	p.exited = make(chan struct{})
	started := make(chan error, 1)
	cmd, exited := p.cmd, p.exited
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(exited)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	return <-started
}

// waitReady waits until the server answers. It returns an error when the server has ended, or with ctx.
func (p *Postgres) waitReady(ctx context.Context, data string) error {
	for {
		err := p.answers(ctx, data)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return fmt.Errorf("the server exited immediately: %s", p.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("not ready in time: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// answers returns nil when our server answers on the port. Another server there has another data folder.
func (p *Postgres) answers(ctx context.Context, data string) error {
	conn, err := pgx.Connect(ctx, p.AdminURL("postgres"))
	if err != nil {
		return err
	}
	var theirs string
	err = conn.QueryRow(ctx, "SHOW data_directory").Scan(&theirs)
	if err == nil && theirs != data {
		err = fmt.Errorf("port %d belongs to another server", p.port)
	}
	return errors.Join(err, conn.Close(ctx))
}

// AdminURL returns a superuser's connection URL to the named database ("postgres" always exists).
func (p *Postgres) AdminURL(database string) string {
	return p.url(":"+p.password, database)
}

func (p *Postgres) url(password, database string) string {
	return fmt.Sprintf("postgres://postgres%s@127.0.0.1:%d/%s?sslmode=disable", password, p.port, database)
}

// Stop ends the server (fast shutdown) and removes a temporary data folder. Safe to call twice.
func (p *Postgres) Stop() error {
	defer p.removeTemp()
	return p.end()
}

// end stops the server by SIGINT, Postgres's fast shutdown: open transactions are rolled back. A server that does not end is
// killed, and that is an error; its next start then recovers.
func (p *Postgres) end() error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop postgres: %w", err)
	}
	t := time.NewTimer(stopTimeout)
	defer t.Stop()
	select {
	case <-p.exited:
		return nil
	case <-t.C:
		_ = p.cmd.Process.Kill()
		<-p.exited
		return errors.New("stop postgres: it did not end in time and was killed")
	}
}

func (p *Postgres) removeTemp() {
	if p.temp != "" {
		_ = os.RemoveAll(p.temp)
	}
}
