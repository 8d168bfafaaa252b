// Package app holds the use cases of notifications: store a notification, send its email, list both.
//
// A notification is a row, in one of these states:
//
//	requested --Add--> pending, claimed --sent--> sent
//	                    ^     |   |  `--refused for good, or too old--> failed --Retry--> pending, due
//	      Claim, when   |     |   |
//	      it is due     |     |   `-- no answer, or refused for now: pending, due after a pause
//	                    |     `------ the mailbox has no room: pending, due at its time
//	                    `------------ Release, or the lease ends: pending, due now
//
// What holds at each step:
//
//  1. OnNotificationRequested stores a batch in one transaction. The unique keys of the table decide which rows are new, so
//     a message that is redelivered has no effect. New rows are claimed by this process until their lease ends.
//  2. After the commit the rows are handed to the Dispatcher in memory, and the message is acknowledged. From now on the row
//     remembers the email: no crash loses it.
//  3. The Dispatcher sends each email that it has a claim on. Then it publishes the outcome and settles the row: sent, failed
//     (the mail server refused the email for good, or attempts lasted too long), or pending with a pause before the next
//     attempt. An operator may have a failed email sent again.
//  4. Rows that a crash, a full memory or a pause left behind are claimed by polling for pending rows that are due.
//
// A claim is a lease: next_attempt_at lies in the future. Each claim raises the row's number claim, so that an old claim is
// recognised. No replica begins to send with less of the lease left than a send may take. So two replicas never send one
// email at the same time.
//
// What is not guaranteed: a process may be killed after the mail server took an email and before the row is settled. The
// email is then sent again, with the same Message-ID, by which mail systems recognise it.
//
// An outcome that ends a notification is an event on its topic: notification_sent or notification_failed. A database that is put
// back, or lost, is made again from these; see Recorder.
//
// With a Limit, the Dispatcher checks before each attempt that the mailbox has room. Without room the row gets a time of its
// own and waits for it. The time also serves for retries within an hour; see Limit.
//
// Emails of one order leave in the order in which they were requested, unless one of them waits for another attempt.
package app

import (
	"context"
	"log/slog"
	"time"

	"pasdetrois/pkg/platform/bus"
	"pasdetrois/services/notifications/internal/domain"
)

// Store keeps notifications. store.Store is the one over Postgres.
type Store interface {
	// Add stores, in one transaction, those of batch that are new, claimed for lease. It returns one answer for each, in
	// the same order.
	Add(ctx context.Context, batch []domain.Notification, lease time.Duration) ([]Kept, error)
	// Claim claims at most limit pending notifications whose time has come, for lease, those that waited longest first.
	Claim(ctx context.Context, limit int, lease time.Duration) ([]domain.Notification, error)
	// Settle stores how attempts ended. A notification that is sent or failed stays as it is.
	Settle(ctx context.Context, outcomes []Outcome) error
	// Renew makes a claim hold for lease from now on, unless another process has claimed the row.
	Renew(ctx context.Context, n domain.Notification, lease time.Duration) error
	// Retry makes a failed notification pending again, due now and as if it was new, and returns it. It returns
	// ErrNotFound when there is none with the id, ErrNotFailed when it has not failed, and ErrEmptied when its text is
	// removed.
	Retry(ctx context.Context, id int64) (domain.Notification, error)
	// Unrecorded returns at most limit settled notifications whose event is still to be published, leased for lease.
	Unrecorded(ctx context.Context, limit int, lease time.Duration) ([]domain.Notification, error)
	// AnyUnrecorded reports whether the event of any settled notification is still to be published, leased or not.
	AnyUnrecorded(ctx context.Context) (bool, error)
	// Recorded notes that the events of these notifications are published.
	Recorded(ctx context.Context, published []domain.Notification) error
	// Release gives up claims, so that the rows are due. It leaves rows alone that another process has claimed.
	Release(ctx context.Context, claimed []domain.Notification) error
	// List returns at most q.Limit notifications, newest first.
	List(ctx context.Context, q Query) ([]domain.Notification, error)
}

// Kept is the notification that is stored under a request's key.
type Kept struct {
	domain.Notification
	New bool // this very call stored it
}

// Outcome is how one attempt to send ended.
type Outcome struct {
	ID     int64
	Claim  int // under which it was attempted
	Status domain.Status
	Reason string        // "" when it was sent
	SentAt time.Time     // when the server took it, if it did
	Pause  time.Duration // until the next attempt, when still pending
	Waits  bool          // nothing was attempted: the mailbox has no room, or the limit could not be read
	Slot   time.Time     // with Waits: when its mailbox has room; else the time that it keeps for its next attempt

	FailedAt   time.Time // when it failed, if it did
	Unrecorded bool      // the event of this outcome is still to be published
}

// Sender hands emails to a mail server, or stands in for one.
type Sender interface {
	// Send returns nil when the server took the email, a permanent error (package fault) when it refused this email for
	// good, and any other error when another attempt may succeed. That error wraps domain.ErrOutcomeUnknown when the
	// server may have taken the email. Send stops when ctx ends. It calls handedOver once the server has all of the email
	// and only the answer is missing: from then on the answer may take long.
	Send(ctx context.Context, e domain.Email, handedOver func()) error
}

// Config is what the use cases depend on. All fields are needed.
type Config struct {
	Store      Store
	Dispatcher *Dispatcher // sends what the use cases store
	Metrics    *Metrics
	Log        *slog.Logger
}

// App holds the use cases. Safe for concurrent use.
type App struct{ cfg Config }

// New makes the use cases.
func New(cfg Config) *App { return &App{cfg: cfg} }

// Table is what notifications consumes, and which use case handles it.
func (a *App) Table() bus.Table {
	return bus.Table{bus.On(a.OnNotificationRequested)}
}
