// Package notifications is the notifications service: it emails people about their orders, once for each message. Run wires
// it; the rules are in internal/domain, the use cases in internal/app.
package notifications

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/pkg/platform/run"
	"pasdetrois/pkg/platform/service"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
	"pasdetrois/services/notifications/internal/email"
	"pasdetrois/services/notifications/internal/httpapi"
	"pasdetrois/services/notifications/internal/store"
)

const name = "notifications"

// sweepEvery is the pause between two searches for emails whose outcome is still to be published.
const sweepEvery = 5 * time.Second

// Run runs the service until ctx ends, then lets work that has begun finish. It waits for Kafka and Postgres, in any order.
// The next start sends the emails that have not begun when ctx ends.
func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
	sender, err := newSender(cfg, log)
	if err != nil {
		return err
	}
	shell, err := service.Open(cfg.Base, service.Identity{Name: name, Version: "1.0.0", Publishes: true}, log)
	if err != nil {
		return err
	}
	defer shell.Close()
	kept := store.New(shell.DB)
	shell.Metrics.MustRegister(kept.Collector(log))
	metrics := app.NewMetrics(shell.Metrics)
	outcomes := app.NewRecorder(app.RecorderConfig{Store: kept, Publisher: shell.Publisher(), Log: log})
	emails := app.NewDispatcher(app.DispatcherConfig{Store: kept, Sender: email.ToNobodyErased(sender), Recorder: outcomes, Limit: newLimit(cfg, shell.DB), Metrics: metrics,
		Log: log, Tracer: shell.Tracer, Concurrency: cfg.EmailConcurrency, SendTimeout: cfg.EmailTimeout, DrainTimeout: cfg.DrainTimeout,
		Retries: domain.Retries{Backoff: domain.Backoff{First: time.Second, Max: cfg.EmailRetryMax}, For: cfg.EmailRetryFor}})
	notifications := app.New(app.Config{Store: kept, Dispatcher: emails, Metrics: metrics, Log: log})
	return shell.Run(ctx, service.Parts{
		Handlers: notifications.Table(),
		Users:    store.NewUsers(kept, email.Mailbox),
		Public: service.API{About: "What was sent to whom, and when.",
			Register: func(api huma.API) { httpapi.Register(api, notifications, log) }},
		Admin: service.API{About: "What notifications consumes, messages that it could not handle, and emails that failed.",
			Register: func(api huma.API) { httpapi.RegisterAdmin(api, notifications, log) }},
		Checks: []httpx.Check{{Name: "outcomes", Run: outcomes.Check}},
		Loops: []run.Component{service.Sweepers(cmp.Or(cfg.SweepEvery, sweepEvery), log,
			service.Sweep{Name: "unrecorded emails", Run: outcomes.Sweep})},
		Ending: []retention.Kind{store.EndingTexts(cfg.RetentionNotifications)},
		// The Shell closes the producer after the last email has ended.
		Effects: []run.Component{{Name: "emails", Run: emails.Run}},
	})
}

// newLimit returns the limit of emails to one address, nil when there is none. Lines of the log are not limited.
func newLimit(cfg Config, pool *pgxpool.Pool) app.Limit {
	if cfg.SMTPURL == "" || cfg.EmailPerHour == 0 {
		return nil
	}
	return store.NewLimit(pool, cfg.EmailPerHour, email.Mailbox)
}

// newSender returns the mail server's sender when there is one, else the log's.
func newSender(cfg Config, log *slog.Logger) (app.Sender, error) {
	if cfg.SMTPURL != "" {
		sender, err := email.NewSMTP(email.SMTPConfig{URL: cfg.SMTPURL, From: cfg.EmailFrom})
		if err != nil {
			return nil, fmt.Errorf("SMTP_URL: %w", err)
		}
		return sender, nil
	}
	if cfg.EmailLog == nil {
		log.Warn("SMTP_URL is not set: emails are written to this log, with addresses and texts")
	} else {
		var err error
		if log, err = run.Logger(cfg.EmailLog, name, "info", "json"); err != nil {
			return nil, err
		}
	}
	return email.NewLog(log), nil
}
