package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pasdetrois/cmd/pas/internal/render"
	"pasdetrois/cmd/pas/restproxy"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/hint"
)

// upView holds the addresses and paths of the running system, as --json shows them. Database is a superuser's
// URL.
type upView struct {
	Services map[string]addressView `json:"services"`
	Brokers  []string               `json:"brokers"`
	RESTURL  string                 `json:"rest_url,omitempty"`
	InboxURL string                 `json:"inbox_url,omitempty"`
	Database string                 `json:"database"`
	Data     string                 `json:"data"`
	Log      string                 `json:"log"`
}

type addressView struct {
	URL      string `json:"url"`
	AdminURL string `json:"admin_url"`
}

// up makes `pas up`. Everything listens on 127.0.0.1 only, since the admin ports and the proxy have no login.
//
// The data folder holds Postgres's and the broker's data, the log, the file of running, and with --mail
// Mailpit's database. One system at a time may use it.
func (a *app) up() *cobra.Command {
	var data string
	var offset int
	var withREST, withMail bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run the whole system here, with its data kept, until Ctrl-C",
		Long: `Start Postgres, an in-process Kafka-protocol broker and the three services in this process, and keep them running
until Ctrl-C. Orders, stock and topics are kept in the data folder and are there again the next time.

Ports: orders 8080 (admin 9080), payments 8084 (9084), notifications 8085 (9085), Kafka 9092, Kafka over plain HTTP
8082 (see "pas rest"), all on 127.0.0.1 only; --port-offset moves them all. Emails are shown here as they go out; the
services' logs go to a file in the data folder.
With --mail, emails go to Mailpit, a mail server that shows them in an inbox on port 8025 (SMTP on 1025). The program
mailpit has to be in PATH; "make up MAIL=1" in a clone builds it. EMAIL_PER_HOUR is off then, unless it is set.
What the services read from the environment (FRAUD_LIMIT, PROVIDER_LATENCY, SMTP_URL, …) can be set for this command.

The embedded broker (kfake) is made for demos and tests: it speaks Kafka's protocol but does not promise durability.
Run the services against a real Kafka for that (compose.yaml).`,
		Example: `  pas up
  pas up --data /tmp/pas --port-offset 2000
  pas up --mail
  FRAUD_LIMIT=100 pas up`,
		Args: args(cobra.NoArgs),
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			if offset < 0 || offset > 50_000 {
				return usagef("--port-offset %d is not between 0 and 50000", offset)
			}
			if withMail && a.Environ["SMTP_URL"] != "" {
				return usagef("--mail and SMTP_URL both name a mail server: leave one out")
			}
			return a.keepUp(cmd.Context(), data, offset, withREST, withMail)
		}),
	}
	cmd.Flags().StringVar(&data, "data", "pas-data", "folder that keeps the data; made when missing")
	cmd.Flags().IntVar(&offset, "port-offset", 0, "add this to every port")
	cmd.Flags().BoolVar(&withREST, "rest", true, "serve the four topics over plain HTTP; --rest=false does not")
	cmd.Flags().BoolVar(&withMail, "mail", false, "send emails to Mailpit, and show them in its inbox")
	return cmd
}

// keepUp runs the stack until ctx ends, which is its normal end. It is an error when a service or the proxy
// ends by itself. keepUp stops the parts in the opposite order of starting: proxy, stack, inbox.
func (a *app) keepUp(ctx context.Context, data string, offset int, withREST, withMail bool) error {
	data, err := filepath.Abs(data)
	if err == nil {
		err = os.MkdirAll(data, 0o755)
	}
	if err != nil {
		return usagef("--data: %s", err)
	}
	another := hint.Add(fmt.Errorf("another `pas up` runs with its data in %s", data), "stop that one, or choose another folder with --data")
	if runsIn(data) {
		return another // before its token is replaced
	}
	logPath := filepath.Join(data, "pas.log")
	file, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return usagef("--data: %s", err)
	}
	defer func() { _ = file.Close() }()
	p := a.printer()
	if !a.json {
		p.Line("Starting Postgres, a broker and three services in this process ...")
	}
	began := time.Now()
	environ := a.serviceEnviron()
	if err := errors.Join(withAdminToken(environ, data), withErasureKey(environ, data)); err != nil {
		return usagef("--data: %s", err)
	}
	var mail *inbox
	if withMail {
		if mail, err = startInbox(ctx, data, offset, file); err != nil {
			return err
		}
		defer mail.stop()
		mail.settings(environ)
	}
	// Port 0 means no proxy.
	port := 0
	if withREST {
		port = restPort + offset
	}
	s, proxy, err := startSystem(ctx, stack.Config{
		Log:     slog.New(slog.NewJSONHandler(file, nil)),
		DataDir: data,
		// The data is kept, so a commit must survive a crash of the machine, too.
		Durable: true,
		Ports:   stack.DefaultPorts(offset),
		Environ: environ,
		// curl works on this machine as before, for the one who started the system.
		LocalUser: true,
		OnEmail: func(e stack.Email) {
			if !a.json {
				p.Email(e, time.Now().Format("15:04:05  "))
			}
		},
	}, port)
	if err != nil && ctx.Err() != nil {
		return nil // Ctrl-C while starting; nothing is left running
	}
	if err != nil {
		// A second Postgres on the same folder fails with an error of Postgres; the usual reason is reported
		// instead.
		if runsIn(data) {
			return another
		}
		return a.withLogs(err, logPath)
	}
	// Only a running system writes the file: `pas audit` and `pas replay` take its existence as an address.
	forget := remember(filepath.Join(data, filepath.Base(upFile)), s)
	defer forget()
	a.announce(ctx, s, proxy, mail, data, logPath, time.Since(began))
	var died error
	select {
	case <-ctx.Done():
	case died = <-s.Died():
	// Without a proxy this channel is nil and never delivers.
	case died = <-proxy.Ended():
	}
	if !a.json {
		p.Line("\nStopping ...")
	}
	proxy.Stop()
	// When a service has died, its error explains more than the failed end.
	if err := s.Stop(); err != nil && died == nil {
		return hint.Add(fmt.Errorf("the system did not stop cleanly: %w", err), "the services' logs are in %s", logPath)
	}
	if died != nil {
		return hint.Add(fmt.Errorf("a service ended: %w", died), "the services' logs are in %s", logPath)
	}
	return nil
}

// withAdminToken makes a random token for the admin APIs, unless the environment names a file with one. Other commands in this
// folder find it in the file of running. Each start has a new one.
func withAdminToken(environ map[string]string, data string) error {
	const name = "ADMIN_TOKEN_FILE"
	if environ[name] != "" {
		return nil
	}
	environ[name] = filepath.Join(data, "admin-token")
	if err := os.Remove(environ[name]); err != nil && !errors.Is(err, fs.ErrNotExist) { // it may have another mode or be a link
		return err
	}
	return os.WriteFile(environ[name], []byte(rand.Text()+rand.Text()+"\n"), 0o600)
}

// erasureKey names the key of erased users in a data folder.
const erasureKey = "erasure-key"

// withErasureKey makes a random key for the pseudonyms of erased users, unless the environment names a file with one. The data
// folder keeps the key: without it erased users would come back.
func withErasureKey(environ map[string]string, data string) error {
	const name = "ERASURE_KEY_FILE"
	if environ[name] != "" {
		return nil
	}
	environ[name] = filepath.Join(data, erasureKey)
	file, err := os.OpenFile(environ[name], os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(rand.Text() + rand.Text() + "\n")
	return errors.Join(err, file.Close())
}

// startSystem starts a stack and, unless port is 0, serves its topics over plain HTTP there. The port is opened
// before anything heavy starts. When startSystem fails, nothing is left running.
func startSystem(ctx context.Context, cfg stack.Config, port int) (*stack.Stack, *restproxy.Proxy, error) {
	var l net.Listener
	if port != 0 {
		// The proxy's port is opened together with those of the services. The proxy itself starts last, since
		// it needs the broker.
		cfg.Listening = func() (err error) {
			l, err = stack.Listen("rest", port)
			return err
		}
	}
	s, err := stack.Start(ctx, cfg)
	if err != nil && l != nil {
		_ = l.Close()
	}
	if err != nil || l == nil {
		return s, nil, err
	}
	proxy, err := restproxy.Start(s, l, cfg.Log.With("service", "rest"))
	if err != nil {
		return nil, nil, errors.Join(err, s.Stop())
	}
	return s, proxy, nil
}

// withLogs adds the path of the logs to an error that has no better hint.
func (a *app) withLogs(err error, logPath string) error {
	if isUsage(err) || hint.Of(err) != "" {
		return err
	}
	return hint.Add(err, "the services' logs are in %s", logPath)
}

// serviceEnviron returns the part of our environment that the services may read: their own settings, but no
// addresses. A DATABASE_URL or KAFKA_BROKERS of the shell must not lead `pas up` to a foreign server.
func (a *app) serviceEnviron() map[string]string {
	environ := map[string]string{}
	for name, value := range a.Environ {
		switch name {
		// The log goes to a file here, always as JSON.
		case "HTTP_ADDR", "ADMIN_ADDR", "DATABASE_URL", "LOG_LEVEL", "LOG_FORMAT":
		default:
			if !strings.HasPrefix(name, "KAFKA_") { // the broker is our own
				environ[name] = value
			}
		}
	}
	return environ
}

// restPort is the port of the topics over plain HTTP, before --port-offset. It is the usual one of REST
// proxies.
const restPort = 8082

// announce writes all addresses and a first order that can be pasted into a shell.
func (a *app) announce(ctx context.Context, s *stack.Stack, proxy *restproxy.Proxy, mail *inbox, data, logPath string, took time.Duration) {
	p := a.printer()
	view := upView{Services: map[string]addressView{}, Brokers: s.Brokers(), RESTURL: proxy.URL(), Database: s.AdminURL(), Data: data, Log: logPath}
	if mail != nil {
		view.InboxURL = mail.url
	}
	rows := make([][]string, 0, 5)
	for _, name := range messages.Services() {
		e := s.Client().Endpoint(name)
		view.Services[name] = addressView{URL: e.Public, AdminURL: e.Admin}
		rows = append(rows, []string{name, e.Public, e.Admin, e.Public + "/docs"})
	}
	if a.json {
		_ = p.JSON(view)
		return
	}
	p.Line("Ready after %s.\n", render.Seconds(took))
	p.Table([]string{"service", "url", "admin", "documentation"}, rows)
	p.Line("\nKafka     %s", strings.Join(s.Brokers(), ","))
	if view.RESTURL != "" {
		p.Line("Over HTTP %s (POST /topics/orders)", view.RESTURL)
	}
	if view.InboxURL != "" {
		p.Line("Inbox     %s", view.InboxURL)
	}
	p.Line("Postgres  %s", s.AdminURL())
	p.Line("Data      %s", data)
	p.Line("Logs      %s", logPath)
	p.Line("\nPlace an order:\n")
	p.Line(`  curl -s '%s/orders?wait=5s' -H 'content-type: application/json' \`, s.Client().Endpoint(client.Orders).Public)
	p.Line(`    -d '%s'`, firstOrder(ctx, s.Client()))
	if view.InboxURL != "" {
		p.Line("\nEmails appear in the inbox. Ctrl-C ends everything.\n")
		return
	}
	p.Line("\nEmails appear below. Ctrl-C ends everything.\n")
}

// firstOrder returns the body of an order that succeeds: of a product in stock, or of a total when there is
// none.
func firstOrder(ctx context.Context, c *client.Client) string {
	stocks, err := c.Inventory(ctx)
	if err == nil {
		for _, stock := range stocks {
			if stock.Available > 0 {
				return fmt.Sprintf(`{"user_id": "ada", "items": [{"sku": "%s", "quantity": 1}]}`, stock.SKU)
			}
		}
	}
	return `{"user_id": "ada", "total": 49.99}`
}
