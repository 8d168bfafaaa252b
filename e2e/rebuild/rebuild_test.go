//go:build rebuild

package rebuild

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/bench/process"
	"pasdetrois/e2e/programs"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/wait"
)

const (
	// The short form plays each case once: one service or all, put back to a moment or to nothing.
	shortForm = 8
	atOnce    = 3
	rebuildIn = 5 * time.Minute
)

// TestWhatWasDecidedStaysDecided: see the package's documentation. REBUILD_SEEDS=20 plays twenty seeds; REBUILD_SEED=7 plays one.
// A seed repeats the choices of a run, though not its moments.
func TestWhatWasDecidedStaysDecided(t *testing.T) {
	first, seeds := 1, number(t, "REBUILD_SEEDS", shortForm)
	played := map[string]func(w *world){"scarce stock stays with those who got it": scarceStock, "what was called off stays called off": calledOff}
	if one := number(t, "REBUILD_SEED", 0); one > 0 {
		first, seeds, played = one, 1, map[string]func(w *world){}
	}
	for i := range seeds {
		seed := uint64(first + i)
		played[fmt.Sprintf("seed %d", seed)] = func(w *world) { w.play(seed) }
	}
	bin, logs := programs.Build(t, "./cmd/pas"), programs.Logs(t)
	each := 2 * len(messages.Services())
	addresses := programs.FreeAddresses(t, each*len(played))
	free := make(chan struct{}, atOnce)
	for i, name := range slices.Sorted(maps.Keys(played)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			free <- struct{}{}
			defer func() { <-free }()
			played[name](newWorld(t, uint64(i), bin, filepath.Join(logs, fmt.Sprint(i)), addresses[each*i:]))
		})
	}
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	given := os.Getenv(name)
	if given == "" {
		return otherwise
	}
	n, err := strconv.Atoi(given)
	require.NoError(t, err, name)
	return n
}

// choice is what a seed chooses.
type choice struct {
	services []string // that are put back
	nothing  bool     // to nothing, not to an earlier moment
	crash    bool     // the services are killed, not stopped
}

func chosen(seed uint64) choice {
	all := messages.Services()
	c := choice{services: all, nothing: seed/4%2 == 1, crash: seed/8%2 == 1}
	if n := int(seed % 4); n < len(all) {
		c.services = all[n : n+1]
	}
	return c
}

func (c choice) String() string {
	to := "an earlier moment"
	if c.nothing {
		to = "nothing"
	}
	return fmt.Sprintf("%s put back to %s", strings.Join(c.services, ", "), to)
}

func (w *world) play(seed uint64) {
	c, t, began := chosen(seed), w.t, time.Now()
	w.rng = rand.New(rand.NewPCG(seed, 0))
	backups := w.backups()
	w.start()
	w.stock()
	long := 8*time.Second + time.Duration(w.rng.Int64N(int64(6*time.Second)))
	moment := time.Duration(w.rng.Int64N(int64(long)))
	ctx, stop := context.WithTimeout(w.ctx, long)
	defer stop()
	worked := make(chan struct{})
	go func() { defer close(worked); w.work(ctx, long) }()
	require.True(t, wait.Sleep(w.ctx, moment), "the test ended")
	if copies := w.backups(); !c.nothing {
		backups = copies
	}
	<-worked
	products := w.products()
	if c.crash {
		w.end(syscall.SIGKILL)
	} else {
		w.end(syscall.SIGTERM)
	}
	before := w.look(products)
	if slices.Contains(c.services, messages.ServiceNotifications) {
		before.Unsettled = nil // the topics decide, also where the row is older
	}
	for _, service := range c.services {
		w.putBack(backups[service])
	}
	kills := 0
	for _, service := range c.services {
		kills += w.rebuildKilled(service)
	}
	w.start()
	w.settle()
	after := w.look(w.products())
	v := judge(before, after)
	v.Problems = append(v.Problems, w.audited()...)
	t.Logf("seed %d: %s at %.1f of %.1f s; rebuild killed %d times; %.0f s in all\n  orders: %s\n  cannot be known: %v", seed, c, moment.Seconds(),
		long.Seconds(), kills, time.Since(began).Seconds(), statuses(before.Orders), v.Unknown)
	if len(v.Problems) > 0 {
		t.Errorf("%d problems with seed %d (%s):\n  %s", len(v.Problems), seed, c, strings.Join(v.Problems[:min(len(v.Problems), 30)], "\n  "))
	}
}

func (w *world) backups() map[string]*backup {
	all := map[string]*backup{}
	for _, service := range messages.Services() {
		all[service] = w.backup(service)
	}
	return all
}

func statuses(orders []order) string {
	n := map[string]int{}
	for _, o := range orders {
		n[o.String()]++
	}
	var all []string
	for _, status := range slices.Sorted(maps.Keys(n)) {
		all = append(all, fmt.Sprintf("%d %s", n[status], status))
	}
	return strings.Join(all, ", ")
}

// rebuildKilled runs `pas rebuild`, kills it at moments that the seed chooses, and lets it end at last. It returns the kills.
func (w *world) rebuildKilled(service string) (kills int) {
	w.t.Helper()
	for range w.rng.IntN(3) {
		p, err := process.Start(process.Spec{Name: "rebuild-" + service, Path: filepath.Join(w.bin, "pas"), Logs: w.logs,
			Args: rebuildOf(service), Env: w.rebuildEnvironment(service)})
		require.NoError(w.t, err)
		select {
		case <-p.Exited():
		case <-time.After(time.Duration(w.rng.Int64N(int64(700 * time.Millisecond)))):
			kills++
			_ = syscall.Kill(p.PID(), syscall.SIGKILL)
			<-p.Exited()
		}
		_ = p.Stop()
	}
	var made, changed int64
	// The group of a service that was killed has members until their session ends. Until then the rebuild is refused.
	w.until(readyLimit, "pas rebuild --service "+service+" ends", func() (err error) { made, changed, err = w.rebuild(service); return err })
	w.t.Logf("pas rebuild --service %s made %d rows and changed %d", service, made, changed)
	made, changed, err := w.rebuild(service)
	require.NoError(w.t, err)
	require.Zero(w.t, made+changed, "a second run of pas rebuild --service %s makes rows: %s", service, w.logs)
	return kills
}

// rebuild runs `pas rebuild` to its end and returns how many rows it made and changed. Exit code 1 alone says that something
// cannot be known, which the judge decides.
func (w *world) rebuild(service string) (made, changed int64, err error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, rebuildIn)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, "pas"), append(rebuildOf(service), "--json")...)
	cmd.Env = append(w.rebuildEnvironment(service), "PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"))
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	require.NoError(w.t, os.WriteFile(filepath.Join(w.logs, fmt.Sprintf("rebuild-%s-%d.json", service, time.Now().UnixNano())), out.Bytes(), 0o600))
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1 && strings.Contains(said.String(), "cannot be known")) {
		require.Contains(w.t, said.String(), " members, ", "pas rebuild --service %s: %v", service, err)
		return 0, 0, errors.New(said.String())
	}
	var report struct {
		Services []struct{ Report struct{ Made, Changed int64 } }
	}
	require.NoError(w.t, json.Unmarshal(out.Bytes(), &report), "%s", out.String())
	for _, s := range report.Services {
		made, changed = made+s.Report.Made, changed+s.Report.Changed
	}
	return made, changed, nil
}

func rebuildOf(service string) []string { return []string{"rebuild", "--service", service} }

func (w *world) rebuildEnvironment(service string) []string {
	return append(w.environment(), "DATABASE_URL="+w.db.URL(service))
}
