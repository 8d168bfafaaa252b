package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/internal/cli"
)

func TestFailedEmailsAreListedAndRetried(t *testing.T) {
	t.Parallel()
	email := object{"id": 3, "order_id": "o-1", "kind": "confirmed", "to": "ada@example.com", "status": "failed", "reason": "smtp\u009b refused", "attempts": 2}
	retried := object{"id": 3, "status": "pending"}
	environ, asked := services(t, map[string]any{"GET /emails": object{"items": []object{email}}, "POST /emails/3/retry": retried,
		"POST /emails/4/retry": problem{Status: 409, Title: "Conflict", Detail: "the email has not failed: it was sent, or is going to be"}})
	got := pas(t, environ, "emails", "list")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "ada@example.com")
	require.NotContains(t, got.stdout, "\u009b", "a control character of the mail server's")
	got = pas(t, environ, "emails", "retry", "3")
	require.Equal(t, "email 3: pending\n", got.stdout)
	require.Equal(t, 1, asked("POST /emails/3/retry"))

	got = pas(t, environ, "emails", "retry", "4")
	require.Equal(t, cli.ExitFailure, got.code)
	require.Contains(t, got.oneLine(t), "has not failed")
	got = pas(t, environ, "emails", "retry", "5")
	require.Equal(t, "there is no email 5; see `pas emails list`", got.oneLine(t))
	for _, wrong := range [][]string{{"emails", "retry", "x"}, {"emails", "retry"}, {"emails", "list", "--status", "lost"}, {"emails", "list", "--limit", "-1"}} {
		got = pas(t, environ, wrong...)
		require.Equal(t, cli.ExitUsage, got.code, got.stderr)
	}
}
