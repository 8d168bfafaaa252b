//go:build chaos

package chaos

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/bench/load"
	"pasdetrois/bench/process"
	"pasdetrois/e2e/programs"
	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/toolbox/audit"
	"pasdetrois/toolbox/feed"
)

// row is one kind of fault.
type row struct {
	name        string
	faults      string // in words, for the report
	full, short int    // how many
	play        func(f *field) error
	judge       func(f *field, v *verdict, l load.Latency) // more that must hold, may be nil
	leaveOut    []string                                   // checks of the audit that mean nothing here
	paired      bool                                       // Postgres has a standby
	linked      bool                                       // each replica's links lead through proxies
	withoutLog  bool                                       // the topics do not hold every message any more
}

func rows() []row {
	return []row{
		{name: "kills", faults: "SIGKILLs of random services", full: 1000, short: 8, play: (*field).kills},
		{name: "brokers", faults: "kills and pauses of the broker", full: 100, short: 2, play: (*field).brokers, judge: promptly},
		{name: "databases", faults: "SIGKILLs of Postgres", full: 100, short: 2, play: (*field).databases},
		{name: "failovers", faults: "failovers to a standby behind one address", full: 20, short: 2, play: (*field).failovers, paired: true},
		{name: "frozen", faults: "replicas stopped with SIGSTOP and continued", full: 50, short: 2, play: (*field).frozen},
		{name: "topics", faults: "topics grown, and a fifth as often one made again", full: 20, short: 2, play: (*field).topics, withoutLog: true},
		{name: "hostile", faults: "records of every hostile size and shape", full: 100_000, short: 4_000, play: (*field).hostile, judge: onlyHostile, leaveOut: []string{"parked"}},
		{name: "crowds", faults: "seconds of five times the orders that are taken", full: 300, short: 6, play: (*field).crowds},
		{name: "network", faults: "faults of one link: late, slow, cut, reset, half open", full: 70, short: 3, play: (*field).network, linked: true},
	}
}

// The settings. CHAOS_FORM is full or short and chooses sizes; CHAOS_ROW names rows, comma separated; CHAOS_SIZE,
// CHAOS_SEED and CHAOS_RATE set one value for all rows; CHAOS_REPORT names the file of the report.
func TestChaos(t *testing.T) {
	chosen := os.Getenv("CHAOS_ROW")
	seed := number(t, "CHAOS_SEED", rand.Uint64()%1_000_000)
	bin := programs.Build(t)
	var names []string
	for _, r := range rows() {
		names = append(names, r.name)
		if chosen != "" && !slices.Contains(strings.Split(chosen, ","), r.name) {
			continue
		}
		size, long := r.full, 30*time.Second
		timed := os.Getenv("CHAOS_FORM") != "short"
		if !timed {
			size, long = r.short, 4*time.Second
		}
		s := settings{size: int(number(t, "CHAOS_SIZE", uint64(size))), seed: seed, rate: float64(number(t, "CHAOS_RATE", 100)), long: long, timed: timed, bin: bin}
		t.Run(r.name, func(t *testing.T) { r.run(t, s) })
	}
	for name := range strings.SplitSeq(chosen, ",") {
		require.True(t, name == "" || slices.Contains(names, name), "there is no row %q; there are %s", name, strings.Join(names, ", "))
	}
}

func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	given := os.Getenv(name)
	if given == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(given, 10, 64)
	require.NoError(t, err, name)
	return n
}

// run plays a row, counts and reports.
func (r row) run(t *testing.T, s settings) {
	t.Logf("row %s: %d times %s, seed %d (CHAOS_ROW=%s CHAOS_SIZE=%d CHAOS_SEED=%d chooses the same again)", r.name, s.size, r.faults, s.seed, r.name, s.size, s.seed)
	f := newField(t, s, r)
	f.began = time.Now()
	f.say("two replicas of each service, Postgres and Kafka are up")
	f.shop.open(f.ctx)
	err := f.recovered("the start")
	f.slow = 0
	if err == nil {
		err = r.play(f)
	}
	last := time.Now()
	require.NoError(t, f.shop.close())
	v := &verdict{}
	if err != nil {
		v.wrong("%v", err)
	}
	if err := f.drained(drainLimit); err != nil {
		v.wrong("%v", err)
	}
	drain := time.Since(last)
	latency := load.Latencies(f.shop.posts)
	f.count(r, v)
	if r.judge != nil {
		r.judge(f, v, latency)
	}
	l := line{Row: r.name, Faults: r.faults, Size: s.size, Seed: s.seed, Orders: f.shop.taken(), verdict: *v,
		P50: latency.P50, P99: latency.P99, Drain: drain, Slow: f.slow, Peak: f.peak(), Lasted: time.Since(f.began), Day: time.Now(), Kafka: f.kafkaVersion()}
	t.Logf("\n%s\n%s\n  POST: %d sent, %d answered 429 or 503, %d answered 500 or more, %d without an answer, %d customers gave up",
		head, l, len(f.shop.posts), f.shop.busy, f.shop.broken, f.shop.unanswered, f.shop.gaveUp)
	if path := os.Getenv("CHAOS_REPORT"); path != "" {
		require.NoError(t, write(path, l))
	}
	if len(v.Problems) > 0 {
		t.Errorf("%d problems, with seed %d:\n  %s", len(v.Problems), s.seed, strings.Join(v.Problems[:min(len(v.Problems), 40)], "\n  "))
	}
}

// count compares everything with everything.
func (f *field) count(r row, v *verdict) {
	if err := f.ready(); err != nil {
		v.wrong("a service does not come back: %v", err)
	}
	orders, err := f.orders(f.ctx)
	if err != nil {
		v.wrong("%v", err)
		return
	}
	v.compare(f.shop.notes, orders)
	cfg := audit.Config{OrdersURL: as(f.adminURL, migrations.Auditor)}
	cfg.PaymentsURL, cfg.NotificationsURL = cfg.OrdersURL, cfg.OrdersURL
	if !r.withoutLog {
		cfg.Topics = &feed.Config{Kafka: kafka.Config{Brokers: f.kafka.Brokers, TopicPrefix: f.kafka.Prefix}, OpenTime: time.Minute}
	}
	report, err := audit.Run(f.ctx, cfg)
	if err != nil {
		v.wrong("%v", err)
		return
	}
	v.audited(report, r.leaveOut...)
	for _, r := range f.replicas {
		for _, end := range r.ends {
			v.wrong("%s", end)
		}
		if limit := memoryLimit(r.service); r.peak > limit {
			v.wrong("%s needed %d MiB, compose gives it %d", r.spec.Name, r.peak>>20, limit>>20)
		}
	}
	if f.shop.broken > 0 {
		v.wrong("%d answers of 500 or more, other than 503", f.shop.broken)
	}
}

func (f *field) peak() (most int64) {
	for _, r := range f.replicas {
		most = max(most, r.peak, process.UsageOf(r.current().PID()).Peak)
	}
	return most
}
