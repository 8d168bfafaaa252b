package lanes

import (
	"context"
	"log/slog"

	"github.com/ThreeDotsLabs/watermill"
)

// WatermillLogger is watermill's logger on log, one level quieter: its information is detail to an operator, and we retry
// its errors and log them with their cause.
func WatermillLogger(log *slog.Logger) watermill.LoggerAdapter {
	return quieter{watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{
		slog.LevelInfo:  slog.LevelDebug,
		slog.LevelError: slog.LevelWarn,
	}), log}
}

// quieter drops lines below the log's level before they become slog attributes: watermill logs several for each message.
type quieter struct {
	watermill.LoggerAdapter
	log *slog.Logger
}

func (q quieter) Info(msg string, fields watermill.LogFields) {
	if q.log.Enabled(context.Background(), slog.LevelDebug) {
		q.LoggerAdapter.Info(msg, fields)
	}
}

func (q quieter) Debug(msg string, fields watermill.LogFields) {
	if q.log.Enabled(context.Background(), slog.LevelDebug) {
		q.LoggerAdapter.Debug(msg, fields)
	}
}

func (q quieter) Trace(msg string, fields watermill.LogFields) {
	if q.log.Enabled(context.Background(), watermill.LevelTrace) {
		q.LoggerAdapter.Trace(msg, fields)
	}
}

func (q quieter) With(fields watermill.LogFields) watermill.LoggerAdapter {
	return quieter{q.LoggerAdapter.With(fields), q.log}
}
