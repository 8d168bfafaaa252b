package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"pasdetrois/cmd/pas/internal/render"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/toolbox/hint"
	toolkafka "pasdetrois/toolbox/kafka"
	"pasdetrois/toolbox/rest"
)

// restView is the summary of `pas rest`, as --json shows it at the end.
type restView struct {
	URL       string   `json:"url"`
	Brokers   []string `json:"brokers"`
	Allow     []string `json:"allow"`
	TokenFile string   `json:"token_file,omitempty"`
	Seconds   float64  `json:"seconds"`
	rest.Stats
}

// rest makes `pas rest`, the proxy of toolbox/rest. Without a file of tokens it serves on loopback only, and writes to no topic
// unless a flag allows it. After Ctrl-C it finishes the calls in work, and every consumer leaves its
// group; then comes the summary.
func (a *app) rest() *cobra.Command {
	var addr string
	var megabytes int
	var kafka kafkaFlags
	cfg := rest.Config{}
	cmd := &cobra.Command{
		Use:   "rest",
		Short: "Produce and consume over plain HTTP, with the calls of the REST Proxy v2",
		Long: `Serve Kafka over plain HTTP, with the calls, formats and error codes of the REST Proxy v2 API, until Ctrl-C. Then every
consumer leaves its group, and a summary is printed.

Every topic can be read, but only those given with --allow can be written: none by default. The consumer groups of
the three services cannot be joined. Formats are json and binary; keys and values in the json format are JSON, so a
key that is text is written with its quotation marks. A record that is no JSON is skipped by a consumer with
the json format, counted, and reported in the log and in the header Pas-Skipped-Records.

Without --token-file callers need no token, and the address has to be one of this machine. With it each caller needs one, and
the file says which topics each token may write and read; docs/rest.md has the format.
"pas up" serves this on 8082, with the four topics allowed. Log lines go to standard error.`,
		Example: `  pas rest --allow orders
  pas rest --brokers kafka:9092 --allow orders --allow web-events --idle 1m
  pas rest --addr 10.0.0.5:8082 --token-file tokens
  curl -s localhost:8082/topics/orders -H 'content-type: application/vnd.kafka.json.v2+json' \
    -d '{"records": [{"value": {"order_id": "o-1", "user_id": "ada", "total": 49.99}}]}'`,
		Args: args(cobra.NoArgs),
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			where, err := a.kafka(kafka)
			if err != nil {
				return err
			}
			cfg.Brokers, cfg.Kafka = where.Brokers, where
			// The minimum is that of rest.Config; the upper limit is a guard against typing errors.
			if cfg.Memory = megabytes << 20; megabytes < 16 || megabytes > 1<<20 {
				return usagef("--memory %d is not between 16 and %d", megabytes, 1<<20)
			}
			return a.serveRest(cmd.Context(), addr, cfg)
		}),
	}
	cmd.Flags().StringSliceVar(&kafka.brokers, "brokers", nil, "bootstrap addresses, host:port (default $KAFKA_BROKERS, else localhost:9092)")
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:8082", "address to serve on; others than this machine reach it only when it says so")
	cmd.Flags().StringSliceVar(&cfg.Edge.AllowedHosts, "allowed-host", nil, allowedHostUsage)
	cmd.Flags().StringVar(&cfg.BaseURL, "base-url", "", "address to return to clients, such as https://kafka.example.com, behind a server that ends TLS")
	cmd.Flags().StringSliceVar(&cfg.Allow, "allow", nil, "a topic that may be written; give it again for each")
	cmd.Flags().StringVar(&cfg.TokenFile, "token-file", "", "file with the tokens of callers, each with the topics that it may write and read; its mode must be 600")
	cmd.Flags().DurationVar(&cfg.Idle, "idle", rest.DefaultIdle, "close a consumer after this long without a call")
	cmd.Flags().IntVar(&megabytes, "memory", rest.DefaultMemory>>20, "so many MiB for the records and requests in work; more are refused")
	cmd.Flags().IntVar(&cfg.MaxConsumers, "max-consumers", rest.DefaultMaxConsumers, "so many consumers at once")
	return cmd
}

// serveRest serves until ctx ends, which is its normal end. It checks in this order, so that the cheapest
// mistake is reported first: flags, topics, Kafka, address.
func (a *app) serveRest(ctx context.Context, addr string, cfg rest.Config) error {
	if cfg.Idle <= 0 {
		return usagef("--idle %s is not more than 0", cfg.Idle)
	}
	if cfg.MaxConsumers < 1 {
		return usagef("--max-consumers %d is less than 1", cfg.MaxConsumers)
	}
	addr, ok := onLoopback(addr)
	if !ok {
		return usagef("--addr %q is not host:port, such as 127.0.0.1:8082", addr)
	}
	if cfg.TokenFile == "" && !here(addr) {
		return usagef("--addr %s can be reached from other machines, and nobody is asked for a token: give --token-file, or an address of this machine", addr)
	}
	if cfg.TokenFile != "" && len(cfg.Allow) > 0 {
		return usagef("--allow and --token-file do not go together: the file says which topics each token may write")
	}
	// A client that joined the group of a service would take records away from it.
	cfg.Reserved = stack.Groups(a.Environ["KAFKA_GROUP_PREFIX"])
	cfg.Log = a.lineLog()
	if err := (rest.Config{Brokers: cfg.Brokers, BaseURL: cfg.BaseURL}).Validate(); err != nil {
		return usagef("--base-url: %s", err)
	}
	if err := validHosts(cfg.Edge); err != nil {
		return err
	}
	// A proxy that ends TLS usually passes the name on under which it was called.
	if base, err := url.Parse(cfg.BaseURL); err == nil && base.Hostname() != "" {
		cfg.Edge.AllowedHosts = append(cfg.Edge.AllowedHosts, base.Hostname())
	}
	server, err := rest.New(cfg)
	var tokens *rest.TokenFileError
	switch {
	case errors.As(err, &tokens):
		return usagef("--token-file: %s", err)
	case err != nil && cfg.TokenFile == "":
		return usagef("--allow: %s", err)
	case err != nil:
		return usagef("%s", err)
	}
	defer server.Close()
	if err := a.reachKafka(ctx, server, cfg); err != nil {
		return err
	}
	// The port is opened before the announcement, so a client may connect as soon as it reads the address.
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return hint.Add(fmt.Errorf("%s is used by another program", addr), "stop that program, or choose another address with --addr")
	}
	if err != nil {
		return hint.Add(fmt.Errorf("listen on %s: %w", addr, err), "choose another address with --addr")
	}
	view := restView{URL: "http://" + l.Addr().String(), Brokers: cfg.Brokers, Allow: cfg.Allow, TokenFile: cfg.TokenFile}
	a.announceRest(view, cfg.Log)
	began := time.Now()
	err = server.Serve(ctx, l)
	view.Seconds, view.Stats = time.Since(began).Seconds(), server.Stats()
	if a.json {
		err = errors.Join(err, a.printer().JSON(view))
	} else {
		a.printer().Line("\n%s", restSummary(view.Stats, time.Since(began)))
	}
	return err
}

// here reports whether only this machine reaches an address.
func here(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && httpx.LoopbackName(host)
}

// reachKafka fails at once when Kafka cannot be reached, and not with the first request. The error names the
// likely mistake.
func (a *app) reachKafka(ctx context.Context, server *rest.Server, cfg rest.Config) error {
	where := cfg.Kafka
	where.Brokers = cfg.Brokers
	ctx, cancel := a.patient(ctx, kafkaAt(where))
	defer cancel()
	err := server.Ping(ctx)
	if err == nil {
		return nil
	}
	// An interrupt during the first connection says nothing about Kafka.
	if errors.Is(err, context.Canceled) {
		return err
	}
	return toolkafka.Explain(where, err)
}

// announceRest writes the address and the writable topics. With --json it goes to the log: standard output
// stays one document.
func (a *app) announceRest(view restView, log *slog.Logger) {
	if a.json {
		log.Info("serving", "addr", strings.TrimPrefix(view.URL, "http://"))
		return
	}
	p := a.printer()
	p.Line("Kafka at %s is served on %s", strings.Join(view.Brokers, ","), p.Bold(view.URL))
	switch {
	case view.TokenFile != "":
		p.Line("Callers need a token of %s.", view.TokenFile)
	case len(view.Allow) == 0:
		p.Line("No topic may be written: allow one with --allow TOPIC.")
	default:
		p.Line("May be written: %s", strings.Join(view.Allow, ", "))
	}
	p.Line("Ctrl-C ends it.")
}

// restSummary formats the counters of a run. Batches that were too large to inflate appear only when there were
// some.
func restSummary(s rest.Stats, took time.Duration) string {
	summary := fmt.Sprintf("%d messages produced (%d refused), %d consumed (%d skipped: no JSON), %d consumers (%d expired), in %s",
		s.Produced, s.Refused, s.Consumed, s.Skipped, s.Consumers, s.Expired, render.Seconds(took))
	if s.TooLarge > 0 {
		summary += fmt.Sprintf("; %d batches too large to inflate were skipped", s.TooLarge)
	}
	return summary
}

// lineLog returns a log on standard error: text for people, or JSON lines with --json.
func (a *app) lineLog() *slog.Logger {
	var out io.Writer = a.Stderr
	if a.json {
		return slog.New(slog.NewJSONHandler(out, nil))
	}
	return slog.New(slog.NewTextHandler(out, nil))
}
