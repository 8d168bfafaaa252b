package chaos

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/e2e/purchase"
	"pasdetrois/toolbox/audit"
)

// sound returns the notes of customers whose orders were confirmed, declined, cancelled, refused and never answered, and
// the orders of a run without flaw.
func sound() ([]*note, []order) {
	visa := purchase.Purchase{TotalMinor: 500, Method: purchase.CardVisa}
	of := func(user string, n note) *note {
		n.User = user
		return &n
	}
	declined, cancelled := visa, visa
	declined.Method, cancelled.Cancelled = purchase.CardDeclined, true
	notes := []*note{
		of("u1", note{Purchase: visa}), of("u2", note{Purchase: declined}), of("u3", note{Purchase: cancelled}),
		of("u4", note{Purchase: visa, Refused: 422}), of("u5", note{Purchase: visa}), of("u6", note{Purchase: visa}),
		of("u7", note{Purchase: visa, CancelUnknown: true, Seen: "confirmed"}),
	}
	for i, id := range map[int]string{0: "a", 1: "b", 2: "c", 6: "g"} {
		notes[i].tell(id)
		notes[i].tell(id) // the same answer again
	}
	orders := []order{{"a", "u1", "confirmed", "", 500}, {"b", "u2", "failed", "card_declined", 500},
		{"c", "u3", "cancelled", "cancelled_by_user", 500}, {"e", "u5", "confirmed", "", 500}, {"g", "u7", "cancelled", "cancelled_by_user", 500}}
	return notes, orders
}

func TestTheVerdictIsContentWithASoundRun(t *testing.T) {
	t.Parallel()
	v := &verdict{}
	v.compare(sound())
	v.audited(&audit.Report{Checks: []*audit.Check{{Name: "stock", Looked: 4}, {Name: "topics", Wrong: 3}}}, "topics")
	require.Equal(t, &verdict{}, v)
}

// Each flaw is one that a missing protection would leave behind.
func TestTheVerdictNotices(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		flaw func(notes []*note, orders []order) []order
		want verdict
	}{
		"a lost order": {func(_ []*note, o []order) []order { return o[1:] },
			verdict{Lost: 1, Problems: []string{"order a of u1 was taken and is lost"}}},
		"an order twice": {func(_ []*note, o []order) []order { return append(o, order{"z", "u1", "confirmed", "", 500}) },
			verdict{Doubled: 1, Problems: []string{`u1 asked for one order, has 2, and was answered with ["a"]`}}},
		"two answers about one wish": {func(n []*note, o []order) []order { n[0].tell("z"); return o },
			verdict{Doubled: 1, Problems: []string{`u1 asked for one order, has 1, and was answered with ["a" "z"]`}}},
		"an order without an end": {func(_ []*note, o []order) []order { o[0].Status = "awaiting_payment"; return o },
			verdict{Unsettled: 1, Problems: []string{"order a is awaiting_payment"}}},
		"an order of nobody": {func(_ []*note, o []order) []order { return append(o, order{"z", "u9", "confirmed", "", 500}) },
			verdict{Problems: []string{"user u9 has 1 orders and asked for none"}}},
		"an order that was refused": {func(_ []*note, o []order) []order { return append(o, order{"z", "u4", "confirmed", "", 500}) },
			verdict{Problems: []string{"u4 was refused with 422 and has order z"}}},
		"another order than the answer's": {func(_ []*note, o []order) []order { o[0].ID = "z"; return o },
			verdict{Problems: []string{"u1 was answered with order a and has z"}}},
		"another amount": {func(_ []*note, o []order) []order { o[0].TotalMinor = 1; return o },
			verdict{Problems: []string{"order a is over 1, its customer asked for 500"}}},
		"another end than the card's": {func(_ []*note, o []order) []order { o[1].Status, o[1].Reason = "confirmed", ""; return o },
			verdict{Problems: []string{`order b is "confirmed ", expected ["failed card_declined"]`}}},
		"another end than was shown": {func(n []*note, o []order) []order { n[0].Seen = "failed"; return o },
			verdict{Problems: []string{"order a is confirmed, its customer was shown failed"}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			notes, orders := sound()
			v := &verdict{}
			v.compare(notes, c.flaw(notes, orders))
			require.Equal(t, c.want, *v)
		})
	}
}

func TestTheAuditCountsForTheVerdict(t *testing.T) {
	t.Parallel()
	v := &verdict{}
	v.audited(&audit.Report{Checks: []*audit.Check{{Name: "stock", Wrong: 1, Examples: []string{"x"}}, {Name: "charges", Wrong: 2}, {Name: "outbox", Wrong: 3}}})
	require.Equal(t, []int{2, 1}, []int{v.Doubled, v.Oversold})
	require.Equal(t, []string{`audit: stock: 1 wrong: ["x"]`, "audit: charges: 2 wrong: []", "audit: outbox: 3 wrong: []"}, v.Problems)
}

func TestTheReportKeepsTheOtherRows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "reports", "chaos.md")
	day := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	for _, l := range []line{{Row: "kills", Size: 1, Day: day}, {Row: "brokers", Size: 2, Day: day},
		{Row: "kills", Size: 3, Day: day, verdict: verdict{Lost: 1, Problems: []string{"x"}}}} {
		require.NoError(t, write(path, l))
	}
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	_, table, _ := strings.Cut(string(content), head+"\n")
	lines := strings.Split(table, "\n")
	require.Contains(t, lines[0], "| kills | 3 ")
	require.Contains(t, lines[0], "**1 problem**")
	require.Contains(t, lines[1], "| brokers | 2 ")
	require.Empty(t, lines[2])
}
