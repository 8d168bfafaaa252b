package rebuild

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
)

const childVariable = "PAS_REBUILD_CHILD"

// childConfig is what a process of its own rebuilds.
type childConfig struct {
	Database string
	Kafka    kafka.Config
	Flush    int
}

// child rebuilds in a process that is killed. It says each progress on standard output.
func child() int {
	var c childConfig
	if err := json.Unmarshal([]byte(os.Getenv(childVariable)), &c); err != nil {
		return 1
	}
	pool, err := Open(c.Database, "orders")
	if err != nil {
		return 1
	}
	defer pool.Close()
	_, err = Run(context.Background(), Config{Service: "orders", Kafka: c.Kafka, Pool: pool, State: &fake{pool: pool, fold: func(context.Context) { fmt.Println("fold") }},
		flushBytes: c.Flush, Progress: func(p Progress) { fmt.Println("progress", p.Step, p.Done) }})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// The rows and offsets are the same, whenever the first process was killed. The second one reads behind what was stored.
func TestARebuildThatIsKilledContinues(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const orders = 9_000
	var events []messages.Event
	for n := range orders {
		id := fmt.Sprint("o", n)
		events = append(events, placed(id), confirmed(id))
	}
	w.write(events...)
	require.EqualValues(t, orders, w.run().Made)
	want := w.rows()
	resumed := 0
	for _, lines := range []int{2, 4, 8, 14} {
		w.exec(`TRUNCATE orders.told`)
		w.killAfter(lines)
		report := w.run()
		require.Empty(t, differing(want, w.rows()), "killed after %d lines: %+v", lines, report)
		require.EqualValues(t, orders, report.Stories)
		require.Zero(t, w.count("rebuild_records"))
		if report.Resumed {
			resumed++
			require.Less(t, report.Records, int64(2*orders), "what was staged is not read again")
		}
	}
	require.Positive(t, resumed, "no process was killed after it had stored records")
}

// killAfter kills a process after so many lines, or lets it end before.
func (w *world) killAfter(lines int) {
	w.Helper()
	cfg, err := json.Marshal(childConfig{Database: w.cfg.Pool.Config().ConnString(), Kafka: w.cfg.Kafka, Flush: 1 << 20})
	require.NoError(w, err)
	cmd := exec.CommandContext(w.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(cfg))
	out, err := cmd.StdoutPipe()
	require.NoError(w, err)
	require.NoError(w, cmd.Start())
	said := bufio.NewScanner(out)
	for range lines {
		if !said.Scan() {
			break
		}
	}
	require.NoError(w, cmd.Process.Kill())
	_ = cmd.Wait()
}

// rows are the state's rows by key.
func (w *world) rows() map[string]string {
	w.Helper()
	found, err := w.admin.Query(w.Context(), `SELECT key, events FROM orders.told`)
	require.NoError(w, err)
	rows := map[string]string{}
	var key, events string
	_, err = pgx.ForEachRow(found, []any{&key, &events}, func() error {
		rows[key] = events
		return nil
	})
	require.NoError(w, err)
	return rows
}

// differing returns the rows that only one side has, or that differ: at most ten, since a failure shows them all.
func differing(want, have map[string]string) (lines []string) {
	for key := range want {
		if want[key] != have[key] {
			lines = append(lines, fmt.Sprintf("%s: want %q, have %q", key, want[key], have[key]))
		}
	}
	for key := range have {
		if _, ok := want[key]; !ok {
			lines = append(lines, fmt.Sprintf("%s: want no row, have %q", key, have[key]))
		}
	}
	if len(lines) > 10 {
		lines = append(lines[:10], fmt.Sprintf("and %d more", len(lines)-10))
	}
	return lines
}
