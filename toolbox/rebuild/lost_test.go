package rebuild

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/toolbox/hint"
)

// crash empties the tables of a rebuild, as a crash of the server does.
func (w *world) crash() {
	w.exec(`TRUNCATE orders.rebuild_records, orders.rebuild_progress, orders.rebuild_lease`)
}

// A rebuild whose staging was emptied must not end well: it would skip stories.
func TestARebuildWhoseLeaseIsGoneEndsWithAnError(t *testing.T) {
	t.Parallel()
	for name, during := range map[string]func(w *world){
		"staging": func(w *world) {
			var once sync.Once
			w.cfg.Progress = func(p Progress) {
				if p.Done > 0 {
					once.Do(w.crash)
				}
			}
		},
		"folding": func(w *world) {
			var once sync.Once
			w.cfg.State.(*fake).fold = func(context.Context) { once.Do(w.crash) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			for n := range 20 {
				w.write(placed(fmt.Sprint("o", n)), confirmed(fmt.Sprint("o", n)))
			}
			w.cfg.flushBytes = 1
			during(w)
			_, err := Run(t.Context(), w.cfg)
			var lost *LostError
			require.ErrorAs(t, err, &lost)
			require.Contains(t, hint.Of(err), "run it again before you start orders")
			require.Zero(t, w.count("rebuild_lease")+w.count("rebuild_records"))

			w.cfg.Progress, w.cfg.State.(*fake).fold = nil, nil
			require.EqualValues(t, 20, w.run().Stories)
			require.Equal(t, 20, w.count("told"))
		})
	}
}

// An earlier run had begun to fold and was killed. The next one is refused: the person must still know of the first one.
func TestARefusedRebuildNamesTheOneThatIsNotComplete(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.write(placed("a"), confirmed("a"))
	w.cfg.State.(*fake).fold = func(context.Context) { panic("killed") }
	require.Panics(t, func() { w.run() })
	w.cfg.State.(*fake).fold = nil
	w.exec(`INSERT INTO orders.replicas (name, renewed_at) VALUES ('host-1', clock_timestamp() + interval '1 hour')`)
	_, err := Run(t.Context(), w.cfg)
	var runs *RunsError
	require.ErrorAs(t, err, &runs)
	require.Contains(t, hint.Of(err), "stop every replica of orders")
	require.Contains(t, hint.Of(err), "a rebuild of orders was begun and is not complete: run it again before you start orders")
}

// Each story is in one count of rows, however many findings it has and under which key they are listed.
func TestTheCountsOfRowsFitTheStories(t *testing.T) {
	t.Parallel()
	r := &run{Config: Config{Found: func(rebuild.Finding) {}}, report: &Report{}}
	differs, unknown := rebuild.Differs, rebuild.Unknown
	stories := []rebuild.Story{{Key: " mug"}, {Key: "charged"}, {Key: "equal"}, {Key: "foreign"}, {Key: "mug"}, {Key: "refunded"}}
	r.note([]rebuild.Finding{
		{Kind: differs, Key: "mug", Story: " mug", Was: "5 pieces", Is: "6 pieces"},
		{Kind: differs, Key: "charged", Is: "captured"}, {Kind: differs, Key: "charged", Is: "in the ledger: captured"},
		{Kind: differs, Key: "refunded", Was: "captured", Is: "refunded"}, {Kind: differs, Key: "refunded", Is: "in the ledger: refunded"},
		{Kind: unknown, Key: "refunded", Do: rebuild.Nothing + ": the order has the reason"},
		{Kind: unknown, Key: "foreign", Do: "ask"},
	}, stories)
	require.Equal(t, [...]int64{1, 2, 2}, [...]int64{r.report.Made, r.report.Changed, r.report.Equal})
	require.Equal(t, [...]int64{2, 1}, [...]int64{r.report.Unknown, r.report.ToDo})
}
