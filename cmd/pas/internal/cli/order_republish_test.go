package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
)

func TestOrderRepublishCountsWhatIsPublishedAgain(t *testing.T) {
	t.Parallel()
	done := func(id, status string) object { return object{"order_id": id, "status": status} }
	environ, _ := services(t, map[string]any{
		"POST /orders/o-1/republish": done("o-1", "confirmed"),
		"POST /orders/o-2/republish": done("o-2", "failed"),
		"POST /orders/republish":     object{"items": []object{done("o-3", "confirmed"), done("o-4", "confirmed"), done("o-5", "pending")}},
	})
	got := pas(t, environ, "order", "republish", "o-1", "o-2")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Equal(t, "Messages of 2 orders are published again: 1 confirmed, 1 failed.\n", got.stdout)

	got = pas(t, environ, "order", "republish", "--placed-from", "2h ago", "--rate", "1000")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Equal(t, "Messages of 3 orders are published again: 2 confirmed, 1 pending.\n", got.stdout)

	got = pas(t, environ, "order", "republish", "o-1", "--json")
	require.JSONEq(t, `{"orders":1,"statuses":{"confirmed":1}}`, got.stdout)

	got = pas(t, environ, "order", "republish", "o-1", "unknown-1")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.oneLine(t), `there is no order "unknown-1"; 1 order was published again before that; the command can be repeated`)

	for arguments, want := range map[[2]string]string{
		{"", ""}:                             "give the ids of orders, or --placed-from TIME",
		{"o-1", "--placed-from=2h ago"}:      "give either the ids of orders or a time",
		{"--placed-from=1200", ""}:           `--placed-from "1200" is no time in the past such as`,
		{"--placed-from=beginning", ""}:      `--placed-from "beginning" is no time in the past such as`,
		{"--placed-from=2h ago", "--rate=0"}: "--rate 0 is less than 1",
	} {
		given := []string{"order", "republish"}
		for _, argument := range arguments {
			if argument != "" {
				given = append(given, argument)
			}
		}
		got := pas(t, environ, given...)
		require.Equal(t, cli.ExitUsage, got.code, arguments)
		require.Contains(t, got.oneLine(t), want)
	}
}
