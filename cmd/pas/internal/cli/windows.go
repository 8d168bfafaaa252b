package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/toolbox/feed"
	"pasdetrois/toolbox/hint"
	"pasdetrois/toolbox/windows"
)

// windowsFlags are the flags of `pas windows`.
type windowsFlags struct {
	kafka       kafkaFlags
	start       startFlags
	size, grace time.Duration
	store       bool
	keep        time.Duration
	job, serve  string
	hosts       []string // more names of the page's server
}

// windowsEvery is the interval of updates, and windowsIdle the silence after which a partition no longer
// holds windows open.
const (
	windowsEvery = time.Second
	windowsIdle  = 10 * time.Second
)

// windows makes `pas windows`. The counting is that of toolbox/windows; this file connects it with Kafka, the
// database, the page and the terminal.
//
// Without --store everything is in memory, and a restart begins anew. With --store, windows and offsets are
// committed together, so a restart resumes exactly where the last commit was: no event is counted twice or left
// out.
func (a *app) windows() *cobra.Command {
	flags := &windowsFlags{}
	cmd := &cobra.Command{
		Use:   "windows TOPIC…",
		Short: "Count events in windows of time, as they come",
		Long: `Count what happens on topics in windows of event time, until Ctrl-C: how often each event, and the sum of its amounts.
Each window is shown when it is over, most common event first; what is still open is shown at the end.

An event is a JSON object, read as the services read it (docs/contract.md): its name from ce_type and the field event, its
time from the field timestamp, else ce_time, else the record's, its amount from the field amount or total that the event
has. An event whose type no service acts on is counted as "unknown: TYPE". A record without a value, and a value that is no
JSON object or has a key twice, is skipped and counted. A run counts 1,000 event names apart; all further names are counted
as "(other names)".
A window is over when events newer than its end and --grace have come on every partition, or nothing comes any more. An
event that was written after its window's end and --grace, behind newer events on its partition, is late and is counted
apart. One that comes late but was written in time is counted, and its window is shown again as corrected.

With --store, windows are kept in Postgres (DATABASE_URL, schema windows, made when missing) together with the offsets that
they were counted up to: after a restart, however it came about, counting resumes exactly there. --keep deletes old
windows. --from-beginning and --since say where a new job begins. See "pas windows history".`,
		Example: `  pas windows web-events orders payments
  pas windows web-events --size 10s --grace 2s --serve :8090
  pas windows orders payments order-failures --store --from-beginning
  pas windows payments --from-beginning --no-follow --json
  pas windows history --last 5`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: a.runs(func(cmd *cobra.Command, topics []string) error { return a.runWindows(cmd.Context(), flags, topics) }),
	}
	flags.kafka.addTo(cmd.Flags())
	flags.start.add(cmd)
	f := cmd.Flags()
	f.DurationVar(&flags.size, "size", time.Minute, "length of a window")
	f.DurationVar(&flags.grace, "grace", 10*time.Second, "how long after its end a window waits for late events")
	f.BoolVar(&flags.store, "store", false, "keep windows and offsets in the Postgres of DATABASE_URL")
	f.DurationVar(&flags.keep, "keep", 0, "how long --store keeps windows after they closed; 0: for ever")
	f.StringVar(&flags.job, "job", "", "name of what is stored (default: the topics and the size)")
	f.StringVar(&flags.serve, "serve", "", "serve a page with a chart on this port of the machine, such as :8090; 0.0.0.0:8090 serves other machines, too")
	f.StringSliceVar(&flags.hosts, "allowed-host", nil, allowedHostUsage)
	cmd.AddCommand(a.windowsHistory())
	return cmd
}

// check rejects flags that contradict each other, and durations that are not whole milliseconds: windows are
// computed and stored in milliseconds.
func (f *windowsFlags) check() error {
	switch {
	case f.size < time.Second || f.size > 31*24*time.Hour || f.size%time.Millisecond != 0:
		return usagef("--size %s is not between 1s and 744h", f.size)
	case f.grace < 0 || f.grace > 31*24*time.Hour || f.grace%time.Millisecond != 0:
		return usagef("--grace %s is not between 0s and 744h", f.grace)
	case f.keep != 0 && !f.store:
		return usagef("--keep is about what is stored: give --store as well")
	case f.keep != 0 && f.keep < f.size+f.grace:
		return usagef("--keep %s is less than --size and --grace", f.keep)
	case f.job != "" && !f.store:
		return usagef("--job names what is stored: give --store as well")
	case len(f.job) > 200:
		return usagef("--job is longer than 200 characters")
	}
	return nil
}

// runWindows counts until ctx ends, which is its normal end, or until the page's server fails. The cause of the
// cancellation distinguishes the two. Windows that are still open at the end are shown as such.
func (a *app) runWindows(ctx context.Context, flags *windowsFlags, topics []string) error {
	if err := flags.check(); err != nil {
		return err
	}
	reading, err := a.feed(&flags.kafka, &flags.start, topics)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answered := func() {}
	cfg := windows.Config{Feed: reading, Size: flags.size, Grace: flags.grace, Every: windowsEvery, Idle: windowsIdle,
		Ready: func() {
			answered()
			a.note("Counting %s in windows of %s; Ctrl-C ends.", strings.Join(reading.Topics, ", "), short(flags.size))
		},
		Show: a.showWindow,
		Note: func(text string) { a.note("%s", oneLine(text)) },
	}
	if flags.store {
		if cfg.Store, err = a.openStore(ctx, flags, reading); err != nil {
			return err
		}
		defer cfg.Store.Close()
		cfg.Store.Keep = flags.keep
	}
	// The page is optional; without it Live stays nil and nothing is drawn.
	if flags.serve != "" {
		page, wait, err := a.servePage(ctx, flags.serve, httpx.Edge{AllowedHosts: flags.hosts}, cancel)
		if err != nil {
			return err
		}
		defer wait()
		cfg.Live = page.Update
	}
	answered = a.waits(kafkaAt(reading.Kafka))
	summary, err := windows.Run(ctx, cfg)
	answered()
	stopped := context.Cause(ctx)
	cancel(nil)
	if err != nil {
		return err
	}
	// The page's server failed. Run itself has ended without an error, since its context was cancelled.
	if stopped != nil && !errors.Is(stopped, context.Canceled) {
		return stopped
	}
	for _, w := range summary.Open {
		a.showWindow(w)
	}
	a.note("Read %d: %d counted, %d late, %d no JSON%s; %d amounts unreadable, %d times too far ahead; %d windows closed, %d still open.%s",
		summary.Read, summary.Counted, summary.Late, summary.NotJSON, empty(summary.Empty), summary.BadAmounts, summary.Ahead, summary.Shown, len(summary.Open),
		passedOver(summary.PassedOver))
	a.noteWaiting(summary.Waiting)
	return nil
}

// showWindow writes a window as text, or as one JSON document on one line.
func (a *app) showWindow(w windows.Window) {
	if !a.json {
		a.printer().Window(w)
		return
	}
	out := json.NewEncoder(a.Stdout)
	out.SetEscapeHTML(false)
	_ = out.Encode(w)
}

// servePage opens the port and serves the page until ctx ends. wait ends it and returns when no goroutine is
// left. A server that fails calls failed, which ends the run.
func (a *app) servePage(ctx context.Context, addr string, edge httpx.Edge, failed context.CancelCauseFunc) (page *windows.Page, wait func(), err error) {
	addr, ok := onLoopback(addr)
	if !ok {
		return nil, nil, usagef("--serve %q is not an address such as :8090", addr)
	}
	if err := validHosts(edge); err != nil {
		return nil, nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, nil, hint.Add(fmt.Errorf("--serve: %w", err), "choose a free port of this machine")
	}
	page = windows.NewPage()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := page.Serve(ctx, l, edge, a.lineLog()); err != nil {
			failed(fmt.Errorf("serve the page: %w", err))
		}
	}()
	shown := l.Addr().String()
	if on, ok := l.Addr().(*net.TCPAddr); ok && (on.IP.IsLoopback() || on.IP.IsUnspecified()) {
		shown = net.JoinHostPort("localhost", strconv.Itoa(on.Port))
	}
	a.note("The chart is at http://%s/", shown)
	return page, func() { failed(nil); <-done }, nil
}

// databaseURL returns the URL of the database that keeps windows. It checks the form only. The error never
// contains the URL.
func (a *app) databaseURL() (string, error) {
	target, err := a.secret("DATABASE_URL", "")
	if err != nil {
		return "", err
	}
	if target == "" {
		return "", usagef("no database is named: set DATABASE_URL (or DATABASE_URL_FILE) to a URL such as postgres://postgres:secret@localhost:5432/pasdetrois")
	}
	if _, err := pgx.ParseConfig(target); err != nil || !strings.Contains(target, "://") {
		return "", usagef("DATABASE_URL is not a URL such as postgres://postgres:secret@localhost:5432/pasdetrois")
	}
	return target, nil
}

// connector returns a function that connects to the database; the store calls it again after a lost connection.
// Each attempt has the patience.
func (a *app) connector(target string) func(context.Context) (*pgx.Conn, error) {
	return func(ctx context.Context) (*pgx.Conn, error) {
		ctx, cancel := a.patient(ctx, "Postgres")
		defer cancel()
		conn, err := connect(ctx, target)
		if err == nil {
			return conn, nil
		}
		// The error names the host and the port, but not the user and the password of the URL.
		host := ""
		if cfg, parseErr := pgx.ParseConfig(target); parseErr == nil {
			host = net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port))
		}
		return nil, hint.Add(fmt.Errorf("cannot connect to Postgres at %s: %w", host, err),
			"check host, port, database, user and password in DATABASE_URL")
	}
}

// openStore opens the store of a job. The topics are sorted, so that their order on the command line does not
// make a new job. Topic names include the prefix: two installations may share a database.
func (a *app) openStore(ctx context.Context, flags *windowsFlags, reading feed.Config) (*windows.Store, error) {
	target, err := a.databaseURL()
	if err != nil {
		return nil, err
	}
	job := windows.Job{Name: flags.job, Size: flags.size, Grace: flags.grace}
	for _, topic := range reading.Topics {
		job.Topics = append(job.Topics, reading.Kafka.TopicPrefix+topic)
	}
	slices.Sort(job.Topics)
	if job.Name == "" {
		job.Name = strings.Join(job.Topics, ",") + "/" + short(flags.size)
	}
	return windows.OpenStore(ctx, a.connector(target), job, reading.Kafka.TopicPrefix)
}

// short formats a duration without its zeros: 1m instead of 1m0s. It is part of a job's default name and must
// not change.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
