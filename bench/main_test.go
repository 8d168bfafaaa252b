package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/bench/process"
	"pasdetrois/bench/report"
	"pasdetrois/pkg/platform/testkit"
)

// asProgram in the environment makes this test binary the program itself.
const asProgram = "BENCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	testkit.Main(m)
}

func none(string) string { return "" }

func TestWrongSettingsAreOneLine(t *testing.T) {
	t.Parallel()
	env := func(name, value string) func(string) string {
		return func(asked string) string {
			if asked == name {
				return value
			}
			return ""
		}
	}
	for _, c := range []struct {
		args   []string
		getenv func(string) string
		want   string
	}{
		{[]string{"-form", "half"}, none, `-form "half" is neither quick nor full`},
		{[]string{"-rounds", "-1"}, none, "-rounds -1 is not between"},
		{[]string{"-rounds", "many"}, none, "invalid value"},
		{[]string{"-clients", "0"}, none, "-clients 0 is not between"},
		{[]string{"-seconds", "-2"}, none, "-seconds -2 is not between"},
		{[]string{"-arms", "pas,ruby"}, none, `-arms "ruby" is not one of pas, idiomatic, python`},
		{[]string{"-parts", "everything"}, none, `-parts "everything" is not one of saturation`},
		{[]string{"-parts", "rates"}, none, "add -against"},
		{[]string{"-backlog", "0"}, none, "-backlog 0 is not between"},
		{[]string{"-soak", "1ms"}, none, "-soak 1ms is less than 1s"},
		{[]string{"-serve", "tea"}, none, `-serve "tea" is neither noop nor transaction`},
		{[]string{"-serve", "noop"}, none, "HTTP_ADDR is empty"},
		{[]string{"quick"}, none, `"quick" is not a flag`},
		{[]string{"-nothing"}, none, "-nothing"},
		{nil, env("KAFKA_BROKERS", "localhost"), `KAFKA_BROKERS: "localhost" is not host:port`},
		{nil, env("DATABASE_URL", "localhost"), "DATABASE_URL is not a URL"},
	} {
		err := run(t.Context(), c.args, c.getenv, &strings.Builder{})
		var usage usageError
		require.ErrorAs(t, err, &usage, "%v", c.args)
		require.ErrorContains(t, err, c.want)
		require.NotContains(t, err.Error(), "\n")
	}
	err := run(t.Context(), []string{"-form", "half", "-rounds", "1000"}, none, &strings.Builder{})
	require.ErrorContains(t, err, "-form")
	require.ErrorContains(t, err, "-rounds", "all mistakes are reported at once")
}

func TestTheFormDecidesWhatIsLeftOpen(t *testing.T) {
	t.Parallel()
	q, err := configure(nil, none)
	require.NoError(t, err)
	require.Equal(t, 3, q.rounds)
	require.Equal(t, quickParts(), q.parts)
	require.Positive(t, q.limit)
	f, err := configure([]string{"-form", "full", "-arms", "pas"}, none)
	require.NoError(t, err)
	require.GreaterOrEqual(t, f.rounds, 5)
	require.Equal(t, fullParts(), f.parts)
	require.Zero(t, f.limit)
	f, err = configure([]string{"-form", "full", "-arms", "pas", "-limit", "30m"}, none)
	require.NoError(t, err)
	require.Equal(t, 30*time.Minute, f.limit)
	require.Equal(t, []string{"pas"}, f.arms)
	own, err := configure([]string{"-form", "full", "-rounds", "2", "-seconds", "1", "-parts", "soak"}, none)
	require.NoError(t, err)
	require.Equal(t, 2, own.rounds)
	require.InDelta(t, 1, own.seconds, 0)
	require.Equal(t, []string{soak}, own.parts)
	other, err := configure([]string{"-against", "HEAD"}, none)
	require.NoError(t, err)
	require.Equal(t, []string{saturation, rates}, other.parts)
	require.Equal(t, []string{report.Pas}, other.arms)
	require.Zero(t, other.limit)
	require.Empty(t, other.docs, "the documented run stays")
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), []string{"-help"}, none, &out))
	for _, want := range []string{"KAFKA_BROKERS", "DATABASE_URL", "-form", "backlog", "saturation"} {
		require.Contains(t, out.String(), want)
	}
}

// A failed step has no number, the report says so, and the other steps go on. No step begins after the limit.
func TestAStepThatFailsHasNoNumber(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := &campaign{cfg: config{form: quick, onceRounds: 1, parts: []string{saturation}}, out: &out, began: time.Now(), found: &report.Results{}}
	ran := 0
	good := step{name: "good", part: saturation, do: func(context.Context, int) error { ran++; return nil }}
	require.NoError(t, c.try(t.Context(), step{name: "bad", part: saturation, do: func(context.Context, int) error { return errors.New("two\nlines") }}, 1))
	require.NoError(t, c.try(t.Context(), good, 1))
	require.Equal(t, 1, ran)
	require.Equal(t, []report.Missing{{What: "bad", Round: 1, Why: "two lines"}}, c.found.Missing)
	require.Contains(t, out.String(), "NO NUMBER for bad: two lines")

	other := good
	other.part = soak
	require.NoError(t, c.try(t.Context(), other, 1))
	once := good
	once.once = true
	require.NoError(t, c.try(t.Context(), once, 2))
	require.Equal(t, 1, ran, "neither a part that was not asked for nor a second round of what is done once")

	c.cfg.limit = time.Nanosecond
	require.NoError(t, c.try(t.Context(), good, 2))
	require.Equal(t, 1, ran)
	require.Contains(t, c.found.Missing[1].Why, "no time was left")

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.try(gone, step{part: saturation, do: func(context.Context, int) error { return nil }}, 1), context.Canceled, "also when the time is over")
}

// program is this program as another process, as somebody starts it.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, append([]string{"-root", "..", "-docs", ""}, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// written returns the only results in the folder.
func written(t *testing.T, folder string) (r report.Results) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	content, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &r))
	return r
}

func TestARunTellsEveryGoalAndWritesItsResults(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	cmd := program(t, "-rounds", "1", "-seconds", "0.1", "-clients", "8", "-arms", "pas", "-parts", "saturation,hot", "-out", folder)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	for _, want := range []string{"G1 not measured: ", "G5 ", "G7 not measured: ", "arm "} {
		require.Contains(t, string(out), "\n"+want)
	}
	r := written(t, folder)
	require.Equal(t, []string{report.Pas, report.OneProduct}, r.Arms())
	require.Len(t, r.Goals, 7)
	require.Empty(t, r.Missing)
	require.Equal(t, os.Getenv("KAFKA_BROKERS") != "", r.Real)
}

// The revision is this repository's HEAD: its programs come from git, with its own migrations.
func TestARevisionIsMeasuredBesideTheProduct(t *testing.T) {
	t.Parallel()
	folder, cache := t.TempDir(), t.TempDir()
	cmd := program(t, "-rounds", "1", "-seconds", "0.1", "-clients", "8", "-against", "HEAD", "-out", folder)
	cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+cache)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	r := written(t, folder)
	require.Empty(t, r.Missing)
	require.Regexp(t, `^pas@[0-9a-f]{7}$`, r.Against)
	require.Equal(t, []string{report.Pas, r.Against}, r.Arms())
	require.Len(t, r.Rates, 2*len(report.FixedRates()))
	for _, l := range r.Rates {
		require.Positive(t, l.Emails.P50, l.Arm)
		require.Positive(t, l.CPUMicros["orders"], l.Arm)
	}
	require.Len(t, r.Goals, 1)
	require.Contains(t, string(out), "pas to "+r.Against+" ")
	programs, err := filepath.Glob(filepath.Join(cache, "pasdetrois-bench", "*", "*"))
	require.NoError(t, err)
	require.Len(t, programs, 4, "kept for the next run: %v", programs)
	trees, err := process.Run(t.Context(), "..", nil, "git", "worktree", "list")
	require.NoError(t, err)
	require.NotContains(t, trees, "pasdetrois-revision-", "the work tree is removed")
}

func TestAnUnknownRevisionIsAnError(t *testing.T) {
	t.Parallel()
	out, err := program(t, "-against", "no-such-revision").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), `"no-such-revision" is not a revision of this repository`)
}

// Ctrl-C in the middle of a run ends it at once, and everything that it has started.
func TestAnInterruptedRunLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	cmd := program(t, "-rounds", "100", "-seconds", "0.1", "-clients", "4", "-arms", "pas", "-parts", "saturation", "-out", t.TempDir())
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var said strings.Builder
	cmd.Stderr = &said
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "round 1, pas") { // in the second round now
	}
	require.NotEmpty(t, lines.Text(), "it ended before")
	below := process.Below(cmd.Process.Pid)
	require.NotEmpty(t, below, "Postgres at the least")
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	for lines.Scan() { // to the end
	}
	var ended *exec.ExitError
	require.ErrorAs(t, cmd.Wait(), &ended)
	require.Equal(t, 130, ended.ExitCode(), said.String())
	require.Equal(t, "bench: interrupted\n", said.String())
	require.Eventually(t, func() bool {
		for _, pid := range below {
			if !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				return false
			}
		}
		return true
	}, 30*time.Second, 20*time.Millisecond, "%v", below)
}
