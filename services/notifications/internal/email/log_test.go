package email_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/services/notifications/internal/email"
)

func TestLogWritesExactlyOneLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	// Even a log that is kept quiet carries the emails: they are what the service is for.
	log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelError})).With("service", "notifications")
	require.NoError(t, email.NewLog(log).Send(t.Context(), hello("ann@example.org"), noted))

	text, ended := strings.CutSuffix(out.String(), "\n")
	require.True(t, ended)
	require.NotContains(t, text, "\n")
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &line))
	require.NotEmpty(t, line["time"])
	delete(line, "time")
	require.Equal(t, map[string]any{"level": "INFO", "msg": "email", "service": "notifications", "to": "ann@example.org",
		"subject": "Order 1001 is confirmed", "order_id": "1001", "kind": "confirmed",
		"message":    "Order 1001 confirmed!\n.\nEnjoy — ünïcode.",
		"message_id": "<4f8c5790-f8a7-55eb-963c-92e13fe9c9fc@pasdetrois.invalid>"}, line)
}

func TestLogThatCannotBeWrittenSentNothing(t *testing.T) {
	t.Parallel()
	err := email.NewLog(slog.New(slog.NewTextHandler(full{}, nil))).Send(t.Context(), hello("ann@example.org"), noted)
	require.ErrorIs(t, err, errDisk)
	requireTransient(t, err)
}

var errDisk = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errDisk }
