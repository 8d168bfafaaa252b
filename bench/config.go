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
)

// config is what was asked for.
type config struct {
	form        string
	rounds      int
	onceRounds  int // the rounds that what is measured once takes part in
	arms        []string
	parts       []string
	clients     int
	seconds     float64
	warmUp      float64 // seconds, before the first round
	out         string  // the folder of results
	docs        string  // the folder of performance.md
	profiles    string  // the folder of CPU profiles; "" = none are taken
	root        string  // of the repository
	backlog     int
	soak        time.Duration
	serve       string // this process is a handler to be measured
	brokers     []string
	databaseURL string
	limit       time.Duration // after it, nothing new is begun; 0 = no limit
	kafkaLocal  string        // the script that runs Kafka's own tools; "" = there is none
}

const (
	quick = "quick"
	full  = "full"

	// quickLimit leaves the last step of the quick form time to end within five minutes.
	quickLimit = 4*time.Minute + 15*time.Second
)

// The parts of a run. Those in rounds are measured in every round, one after the other.
const (
	saturation = "saturation" // closed loops of the arms
	limitsPart = "limits"     // pgbench, Kafka's own tools
	ingest     = "ingest"     // 202s alone
	hot        = "hot"        // all orders on one product, and too few pieces
	replicas   = "replicas"   // two of each service
	relay      = "relay"      // outbox to Kafka
	lanes      = "lanes"      // one partition
	latency    = "latency"    // open loops, at shares of saturation
	scaling    = "scaling"    // more partitions and replicas
	backlog    = "backlog"    // many messages waiting
	soak       = "soak"       // ten minutes beside an open transaction, then a twin without one
)

func quickParts() []string {
	return []string{saturation, limitsPart, ingest, hot, replicas, relay, lanes, latency}
}

func allParts() []string { return append(quickParts(), scaling, backlog, soak) }

func allArms() []string { return []string{"pas", "idiomatic", "python"} }

func flags(c *config, arms, parts *string) *flag.FlagSet {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&c.form, "form", quick, "quick (3 rounds, some minutes) or full (5 rounds, every part)")
	f.IntVar(&c.rounds, "rounds", 0, "rounds; 0 = what the form says")
	f.StringVar(arms, "arms", strings.Join(allArms(), ","), "arms to compare, comma separated")
	f.StringVar(parts, "parts", "", "parts to run, comma separated; empty = those of the form")
	f.IntVar(&c.clients, "clients", 64, "clients that place orders at the same time")
	f.Float64Var(&c.seconds, "seconds", 0, "how long one saturation shall take, about; 0 = what the form says")
	f.StringVar(&c.out, "out", "bench/results", "folder for the results as JSON")
	f.StringVar(&c.docs, "docs", "docs", "folder of performance.md, whose table and plots are written anew; empty = leave them")
	f.StringVar(&c.profiles, "profiles", "", "folder for a CPU profile of each service during the closed loops; empty = none")
	f.StringVar(&c.root, "root", ".", "root of the repository, where the programs are built")
	f.IntVar(&c.backlog, "backlog", 1_000_000, "messages that wait in the part backlog")
	f.DurationVar(&c.soak, "soak", 10*time.Minute, "how long the part soak loads the services beside an open transaction; after less than 10m, what that costs is no figure")
	f.DurationVar(&c.limit, "limit", 0, "after it, nothing new is begun; 0 = what the form says: 4m15s in the quick one, none in the full one")
	f.StringVar(&c.serve, "serve", "", "be a handler that is measured: noop or transaction")
	return f
}

func configure(args []string, getenv func(string) string) (config, error) {
	var c config
	var arms, parts string
	f := flags(&c, &arms, &parts)
	if err := f.Parse(args); err != nil {
		return c, err
	}
	if f.NArg() > 0 {
		return c, fmt.Errorf("%q is no flag", f.Arg(0))
	}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.form != quick && c.form != full {
		wrong("-form %q is neither quick nor full", c.form)
	}
	if c.rounds < 0 || c.rounds > 100 {
		wrong("-rounds %d is not between 1 and 100", c.rounds)
	}
	if c.clients < 1 || c.clients > 4096 {
		wrong("-clients %d is not between 1 and 4096", c.clients)
	}
	if c.seconds < 0 || c.seconds > 3600 {
		wrong("-seconds %v is not between 0 and 3600", c.seconds)
	}
	if c.backlog < 1 || c.backlog > 100_000_000 {
		wrong("-backlog %d is not between 1 and 100000000", c.backlog)
	}
	if c.soak < time.Second {
		wrong("-soak %s is less than 1s", c.soak)
	}
	if c.limit < 0 {
		wrong("-limit %s is negative", c.limit)
	}
	if c.serve != "" && c.serve != "noop" && c.serve != "transaction" {
		wrong("-serve %q is neither noop nor transaction", c.serve)
	}
	c.arms = chosen("-arms", arms, allArms(), wrong)
	c.parts = chosen("-parts", parts, allParts(), wrong)
	if given := getenv("KAFKA_BROKERS"); given != "" {
		c.brokers = strings.Split(given, ",")
	}
	for _, b := range c.brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || port == "" {
			wrong("KAFKA_BROKERS: %q is not host:port", b)
		}
	}
	c.databaseURL, c.kafkaLocal = getenv("DATABASE_URL"), getenv("KAFKA_LOCAL")
	if c.databaseURL != "" && !strings.HasPrefix(c.databaseURL, "postgres://") && !strings.HasPrefix(c.databaseURL, "postgresql://") {
		wrong("DATABASE_URL is not a URL such as postgres://postgres:secret@localhost:5432/postgres")
	}
	c.applyForm()
	if len(errs) > 0 { // on one line
		texts := make([]string, len(errs))
		for i, err := range errs {
			texts[i] = err.Error()
		}
		return c, errors.New(strings.Join(texts, "; "))
	}
	return c, nil
}

func chosen(flag, given string, known []string, wrong func(string, ...any)) []string {
	if given == "" {
		return nil
	}
	names := strings.Split(given, ",")
	for _, name := range names {
		if !slices.Contains(known, name) {
			wrong("%s %q is none of %s", flag, name, strings.Join(known, ", "))
		}
	}
	return names
}

// applyForm fills in what was left to the form.
func (c *config) applyForm() {
	rounds, seconds, parts := 3, 2.0, quickParts()
	limit := quickLimit
	c.onceRounds, c.warmUp = 1, 3
	if c.form == full {
		c.onceRounds = 2
		rounds, seconds, parts = 5, 10.0, allParts()
		c.warmUp = 30
		limit = 0
	}
	if c.limit == 0 {
		c.limit = limit
	}
	if c.rounds == 0 {
		c.rounds = rounds
	}
	if c.seconds == 0 {
		c.seconds = seconds
	}
	if c.parts == nil {
		c.parts = parts
	}
}

func printHelp(out io.Writer) error {
	var c config
	var arms, parts string
	f := flags(&c, &arms, &parts)
	f.SetOutput(out)
	_, err := fmt.Fprintf(out, `Measures the product beside its peers and the limits of what it stands on, and says which goals it meets.

  make bench FORM=quick        or: KAFKA_BROKERS=localhost:9092 bench -form quick

KAFKA_BROKERS  a real Kafka; without it an embedded broker is used, and no figure counts
DATABASE_URL   a superuser's, of a Postgres with fsync and synchronous_commit on; without it a private one is started
KAFKA_LOCAL    a script that runs Kafka's own tools (perf-producer, e2e-latency); without it they are left out

Parts: %s.

`, strings.Join(allParts(), ", "))
	f.PrintDefaults()
	return err
}
