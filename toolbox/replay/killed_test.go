package replay_test

import (
	"bufio"
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/scenario"
	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// lease is how long `pas replay` asks for a pause at a time.
const lease = time.Minute

// moment is when pas is killed: while the service keeps it waiting for an answer.
type moment struct {
	call     string // that is not answered any more
	state    string // only when the answer would be this; "" = any
	reaches  bool   // the call has reached the service
	line     string // pas has said so; "" = anything
	moves    bool   // at least the first group was moved back
	movesAll bool
	paused   bool // when pas is gone
	again    bool // the second replay begins at once, not when the pause is over
}

// TestAReplayThatIsKilledAtAnyStepHarmsNothing: of pas nothing is left that could tidy up. The service goes on by itself
// when the pause is over, reads what was moved back, and nothing comes of it; a second replay works.
func TestAReplayThatIsKilledAtAnyStepHarmsNothing(t *testing.T) {
	t.Parallel()
	pas := filepath.Join(t.TempDir(), "pas")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", pas, "pasdetrois/cmd/pas").CombinedOutput()
	require.NoError(t, err, string(out))
	asked := moment{call: "POST /consumers/pause", reaches: true, paused: true}
	paused := moment{call: "GET /consumers", state: client.ConsumersPaused, reaches: true, paused: true}
	moving := moment{call: "POST /consumers/resume", line: "moved ", moves: true, paused: true}
	moved := moment{call: "POST /consumers/resume", moves: true, movesAll: true, paused: true}
	atOnce := moved
	atOnce.again = true
	resumed := moment{call: "POST /consumers/resume", reaches: true, moves: true, movesAll: true}
	var replays sync.WaitGroup
	var checks []func()
	for _, at := range []map[string]moment{
		{client.Orders: moving, client.Payments: atOnce, client.Notifications: paused},
		{client.Orders: moved, client.Payments: asked, client.Notifications: resumed},
		{client.Orders: atOnce, client.Payments: moved, client.Notifications: moved},
	} {
		w := setup(t)
		w.play()
		before, emails := w.settledRows(), w.Emails()
		for service, m := range at { // all at once: each takes as long as a pause
			replays.Go(func() { w.killed(pas, service, m) })
		}
		checks = append(checks, func() {
			for service := range at {
				w.caughtUp(service)
			}
			w.nothingCameOfIt(before, emails)
		})
	}
	replays.Wait()
	require.False(t, t.Failed())
	for _, check := range checks {
		check()
	}
}

// killed kills a replay of the service, sees the service go on, and replays it again.
func (w *world) killed(pas, service string, m moment) {
	admin := w.Client().Endpoint(service).Admin
	g := hold(w.t, admin, m)
	first := w.pas(pas, service, g.URL)
	from, handled := w.committed(service), w.handledBy(service)
	first.run(w.t, m.line, g.reached)
	var moved float64 // messages, at least
	for group, offsets := range w.committed(service) {
		if m.movesAll || m.moves && group == w.prefix+service+"."+service {
			for partition, at := range offsets {
				moved += float64(from[group][partition])
				w.check(at == 0 || !m.paused, "%s is at %v", group, offsets)
			}
		}
		w.check(m.moves || maps.Equal(from[group], offsets), "%s is at %v, was at %v", group, offsets, from[group])
	}
	g.release()
	left, err := os.ReadDir(first.temp)
	w.check(err == nil && len(left) == 0, "pas left %v behind: %v", left, err)

	second := w.pas(pas, service, admin)
	done := make(chan struct{})
	begin := sync.OnceFunc(func() {
		go func() {
			defer close(done)
			second.run(w.t, "", nil)
		}()
	})
	var until time.Time
	if m.paused {
		w.eventually(func() bool { return w.state(service).State == client.ConsumersPaused }, "%s pauses", service)
		if at := w.state(service).PausedUntil; at != nil {
			until = *at
		}
		w.check(time.Until(until) > 0 && time.Until(until) <= lease, "%s is paused until %s", service, until)
	}
	order, _, err := w.Client().Place(w.t.Context(), client.NewOrder{UserID: "ada", Total: "5.00"}, client.PlaceOptions{})
	w.check(err == nil, "an order is taken all the time: %v", err)
	if m.again {
		begin()
	}
	if !w.eventually(func() bool { return w.state(service).State == client.ConsumersConsuming }, "%s goes on", service) {
		return
	}
	w.check(!time.Now().Before(until), "somebody ended the pause of %s", service)
	w.check((moved > 0) == m.moves, "%v messages of %s were moved back", moved, service)
	w.eventually(func() bool { return w.handledBy(service)-handled >= moved }, "%s handles again the %v messages that were moved back", service, moved)
	w.eventually(func() bool {
		at, err := w.Client().Order(w.t.Context(), order.OrderID, 0)
		return err == nil && at.Status == "confirmed"
	}, "%s is confirmed", order.OrderID)
	begin()
	<-done
	w.check(strings.Contains(second.stdout.String(), "rows compared: equal;"), "%s%s", second.stdout, second.stderr)
	w.check(strings.Contains(second.stderr.String(), "paused by another replay or by one that was killed") == m.again, "%s", second.stderr)
}

// process is a run of pas.
type process struct {
	*exec.Cmd
	temp           string
	stdout, stderr *bytes.Buffer
}

func (w *world) pas(path, service, admin string) *process {
	temp, err := os.MkdirTemp(w.t.TempDir(), service)
	w.check(err == nil, "%v", err)
	p := &process{exec.Command(path, "replay", "--service", service, "--from", "beginning", "--admin", admin,
		"--brokers", strings.Join(w.Brokers(), ",")), temp, &bytes.Buffer{}, &bytes.Buffer{}}
	p.Env = []string{"TMPDIR=" + temp, "AUDIT_DATABASE_URL=" + w.config(service).Database}
	p.Stdout = p.stdout
	return p
}

// run runs pas to its end; with kill, to the moment when that is closed or pas says line.
func (p *process) run(t *testing.T, line string, kill <-chan struct{}) {
	pipe, err := p.StderrPipe()
	if err == nil {
		err = p.Start()
	}
	if err != nil {
		t.Error(err)
		return
	}
	said, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tell := sync.OnceFunc(func() { close(said) })
		for lines := bufio.NewScanner(pipe); lines.Scan(); {
			p.stderr.WriteString(lines.Text() + "\n")
			if line != "" && strings.HasPrefix(lines.Text(), line) {
				tell()
			}
		}
	}()
	if kill != nil {
		select {
		case <-kill:
		case <-said:
		case <-ended:
		case <-time.After(3 * time.Minute):
		}
		_ = p.Process.Kill()
	}
	<-ended
	err = p.Wait()
	if killed := p.ProcessState.ExitCode() == -1; killed != (kill != nil) || !killed && err != nil {
		t.Errorf("%v: %v\n%s%s", p.Args, err, p.stdout, p.stderr)
	}
}

// nothingCameOfIt compares with what there was before the replays. Orders that were placed meanwhile are new.
func (w *world) nothingCameOfIt(before []string, emails []stack.Email) {
	w.t.Helper()
	after := w.settledRows()
	for _, row := range before {
		require.Contains(w.t, after, row)
	}
	report, err := scenario.On(w.Stack).Books.Audit(w.t.Context())
	require.NoError(w.t, err)
	require.True(w.t, report.Passed(), "%+v", report)
	sent := w.Emails()
	require.Len(w.t, sent, len(emails)+len(messages.Services()), "one for each new order")
	for i, e := range sent {
		require.False(w.t, slices.ContainsFunc(sent[:i], func(other stack.Email) bool { return other.MessageID == e.MessageID }), "%+v was sent twice", e)
	}
	require.Equal(w.t, emails, sent[:len(emails)])
}
