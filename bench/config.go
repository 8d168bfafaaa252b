package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"pasdetrois/bench/report"
)

// config is the run that the flags and the environment describe, complete after configure.
type config struct {
	form        string
	rounds      int
	onceRounds  int // how many rounds the steps with once take part in
	arms        []string
	parts       []string
	against     string // another revision; "" = none
	clients     int
	seconds     float64
	warmUp      float64 // seconds, before the first round
	out         string  // the folder of results
	docs        string  // the folder of performance.md
	root        string  // of the repository
	backlog     int
	soak        time.Duration
	serve       string // the measured handler that this process becomes; "" = none
	brokers     []string
	databaseURL string
	limit       time.Duration // from the start; no step begins after it; 0 = no limit
	kafkaLocal  string        // the script that runs Kafka's own tools; "" = none
}

// The forms of a run.
const (
	quick = "quick"
	full  = "full"

	// quickLimit leaves the last step of the quick form time to end within five minutes.
	quickLimit = 4*time.Minute + 15*time.Second
)

// The parts of a run. Each step belongs to one part.
const (
	saturation = "saturation" // closed loops of the arms
	limits     = "limits"     // pgbench, Kafka's own tools
	ingest     = "ingest"     // 202s alone
	hot        = "hot"        // all orders on one product, and too few pieces
	replicas   = "replicas"   // two of each service
	signed     = "signed"     // events that move money are signed
	relay      = "relay"      // outbox to Kafka
	lanes      = "lanes"      // one partition
	latency    = "latency"    // open loops, at shares of saturation
	scaling    = "scaling"    // more partitions and replicas
	backlog    = "backlog"    // many waiting messages
	soak       = "soak"       // ten minutes beside an open transaction, then a twin without one
	rates      = "rates"      // open loops at fixed rates
)

// quickParts returns the parts of the quick form. saturation comes first: latency, relay and soak load the
// product at shares of its result.
func quickParts() []string {
	return []string{saturation, limits, ingest, hot, replicas, relay, lanes, latency}
}

// fullParts returns the parts of the full form. rates is in neither form, since it compares two revisions.
func fullParts() []string { return append(quickParts(), signed, scaling, backlog, soak) }

// allParts returns the parts that -parts accepts.
func allParts() []string { return append(fullParts(), rates) }

// allArms returns the arms that -arms accepts. The product of another revision is chosen with -against.
func allArms() []string { return []string{report.Pas, report.Idiomatic, report.Python} }

// flags declares the flags. A value of 0 or "" stands for the form's own value, which applyForm fills in.
func flags(c *config, arms, parts *string) *flag.FlagSet {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.form, "form", quick, "quick (3 rounds, some minutes) or full (5 rounds, every part)")
	f.IntVar(&c.rounds, "rounds", 0, "rounds; 0 = the form's")
	f.StringVar(arms, "arms", strings.Join(allArms(), ","), "arms to compare, comma separated")
	f.StringVar(parts, "parts", "", "parts to run, comma separated; empty = the form's")
	f.StringVar(&c.against, "against", "", "a revision in git: compare the product with the product of that revision, by the parts saturation and rates")
	f.IntVar(&c.clients, "clients", 64, "clients that place orders at the same time")
	f.Float64Var(&c.seconds, "seconds", 0, "about how long one closed loop takes, and with -against each open loop; 0 = the form's")
	f.StringVar(&c.out, "out", "bench/results", "folder for the results as JSON")
	f.StringVar(&c.docs, "docs", "docs", "folder of performance.md, whose tables are rewritten; empty = they stay; -against leaves them")
	f.StringVar(&c.root, "root", ".", "root of the repository, where the programs are built")
	f.IntVar(&c.backlog, "backlog", 1_000_000, "messages that wait in the part backlog")
	f.DurationVar(&c.soak, "soak", 10*time.Minute, "how long the part soak loads the services beside an open transaction; less than 10m gives no figure")
	f.DurationVar(&c.limit, "limit", 0, "no step begins after it; 0 = the form's: 4m15s in the quick one, none in the full one and with -against")
	f.StringVar(&c.serve, "serve", "", "be one of the measured handlers: noop or transaction")
	return f
}

// configure parses and checks flags and environment. The error lists all mistakes, so that one attempt shows
// them all. It never contains DATABASE_URL, which may hold a password.
func configure(args []string, getenv func(string) string) (config, error) {
	var c config
	var arms, parts string
	f := flags(&c, &arms, &parts)
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, fmt.Errorf("%q is not a flag", f.Arg(0))
	}
	var wrong []string
	check := func(right bool, format string, args ...any) {
		if !right {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	check(c.form == quick || c.form == full, "-form %q is neither quick nor full", c.form)
	check(c.rounds >= 0 && c.rounds <= 100, "-rounds %d is not between 1 and 100", c.rounds)
	check(c.clients >= 1 && c.clients <= 4096, "-clients %d is not between 1 and 4096", c.clients)
	check(c.seconds >= 0 && c.seconds <= 3600, "-seconds %v is not between 0 and 3600", c.seconds)
	check(c.backlog >= 1 && c.backlog <= 100_000_000, "-backlog %d is not between 1 and 100000000", c.backlog)
	check(c.soak >= time.Second, "-soak %s is less than 1s", c.soak)
	check(c.limit >= 0, "-limit %s is negative", c.limit)
	check(slices.Contains([]string{"", "noop", "transaction"}, c.serve), "-serve %q is neither noop nor transaction", c.serve)
	for _, list := range []struct {
		flag, given string
		known       []string
		into        *[]string
	}{{"-arms", arms, allArms(), &c.arms}, {"-parts", parts, allParts(), &c.parts}} {
		for name := range strings.SplitSeq(list.given, ",") {
			if name != "" {
				*list.into = append(*list.into, name)
				check(slices.Contains(list.known, name), "%s %q is not one of %s", list.flag, name, strings.Join(list.known, ", "))
			}
		}
	}
	check(c.against != "" || !slices.Contains(c.parts, rates), "-parts rates compares two revisions: add -against")
	if given := getenv("KAFKA_BROKERS"); given != "" {
		c.brokers = strings.Split(given, ",")
	}
	for _, b := range c.brokers {
		host, port, err := net.SplitHostPort(b)
		check(err == nil && host != "" && port != "", "KAFKA_BROKERS: %q is not host:port", b)
	}
	c.databaseURL, c.kafkaLocal = getenv("DATABASE_URL"), getenv("KAFKA_LOCAL")
	check(c.databaseURL == "" || strings.HasPrefix(c.databaseURL, "postgres://") || strings.HasPrefix(c.databaseURL, "postgresql://"),
		"DATABASE_URL is not a URL such as postgres://postgres:secret@localhost:5432/postgres")
	if len(wrong) > 0 {
		return c, errors.New(strings.Join(wrong, "; "))
	}
	c.applyForm()
	return c, nil
}

// applyForm fills in what the flags leave to the form. With -against only the product runs, twice, and the page
// stays as it is: its tables describe the product beside its peers.
func (c *config) applyForm() {
	form := config{rounds: 3, seconds: 2, parts: quickParts(), limit: quickLimit, onceRounds: 1, warmUp: 3}
	if c.form == full {
		form = config{rounds: 5, seconds: 10, parts: fullParts(), onceRounds: 2, warmUp: 30}
	}
	if c.against != "" {
		form.parts, form.limit, c.arms, c.docs = []string{saturation, rates}, 0, []string{report.Pas}, ""
	}
	c.onceRounds, c.warmUp = form.onceRounds, form.warmUp
	if c.limit == 0 {
		c.limit = form.limit
	}
	if c.rounds == 0 {
		c.rounds = form.rounds
	}
	if c.seconds == 0 {
		c.seconds = form.seconds
	}
	if c.parts == nil {
		c.parts = form.parts
	}
}

// printHelp writes the usage with all flags, parts and variables.
func printHelp(out io.Writer) error {
	var c config
	var arms, parts string
	f := flags(&c, &arms, &parts)
	f.SetOutput(out)
	_, err := fmt.Fprintf(out, `Measures the product beside its peers and beside the limits of Postgres, Kafka and HTTP, and judges its goals.

  make bench FORM=quick               or: KAFKA_BROKERS=localhost:9092 bench -form quick
  make bench FORM=quick AGAINST=REV   compares the product with the product of another revision in git

KAFKA_BROKERS  a real Kafka; without it an embedded broker is used, and no figure counts
DATABASE_URL   a superuser's, of a Postgres with fsync and synchronous_commit on; without it a private one is started
KAFKA_LOCAL    a script that runs Kafka's own tools (perf-producer, e2e-latency); without it they are left out

Parts: %s.

`, strings.Join(allParts(), ", "))
	f.PrintDefaults()
	return err
}
