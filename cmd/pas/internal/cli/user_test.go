package cli_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
)

func TestAUserIsErasedAfterAQuestionOnly(t *testing.T) {
	t.Parallel()
	done := object{"pseudonym": "erased-1", "key_id": "k", "counts": object{"orders": 2, "dead_letters": 1}, "dry_run": true}
	environ, asked := services(t, map[string]any{"POST /users/ada/erase": done,
		"POST /users/open/erase": problem{Status: 409, Title: "Conflict", Detail: "the user has orders that are not settled: o-1"}})
	environ["KAFKA_BROKERS"] = "127.0.0.1:1"
	got := pas(t, environ, "user", "erase", "ada", "--dry-run", "--json")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	var report struct {
		Pseudonym string
		DryRun    bool `json:"dry_run"`
		Services  map[string]map[string]int64
	}
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &report))
	require.Equal(t, "erased-1", report.Pseudonym)
	require.True(t, report.DryRun)
	require.EqualValues(t, 2, report.Services["payments"]["orders"])
	require.Equal(t, 3, asked("POST /users/ada/erase"))

	got = pas(t, environ, "user", "erase", "ada") // no person can answer the question
	require.Equal(t, cli.ExitUsage, got.code)
	require.Contains(t, got.oneLine(t), "--yes")
	require.Equal(t, 6, asked("POST /users/ada/erase"), "a count in each service")

	got = pas(t, environ, "user", "erase", "open", "--yes")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.oneLine(t), "o-1")
	require.Equal(t, 1, asked("POST /users/open/erase"), "no service is changed before all agree")
	for _, wrong := range [][]string{{"user", "erase"}, {"user", "erase", ""}, {"user", "export"}, {"user", "export", ""}} {
		require.Equal(t, cli.ExitUsage, pas(t, environ, wrong...).code, wrong)
	}
}
