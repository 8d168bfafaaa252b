package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pasdetrois/cmd/pas/internal/render"
	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// orderHistory is all data about one order, from all three services, as --json shows it. Order and Payment are
// null where the service has none. The lists are never null. With NoAnswer not empty, an absent part may exist
// all the same.
type orderHistory struct {
	OrderID       string                `json:"order_id"`
	Order         *client.Order         `json:"order"`
	Timeline      []client.Event        `json:"timeline"`
	Payment       *client.Payment       `json:"payment"`
	Notifications []client.Notification `json:"notifications"`
	DeadLetters   []serviceLetter       `json:"dead_letters"`
	NoAnswer      []string              `json:"no_answer"` // services that failed to answer
	// LettersUnread counts the dead letters without a key that were not searched, because there are too many of them.
	LettersUnread int `json:"dead_letters_unread,omitempty"`
}

type serviceLetter struct {
	Service string `json:"service"`
	client.DeadLetter
}

// lettersRead bounds the dead letters without a key that are read one by one in each service, the newest first. Letters with
// the order's key are all shown.
const lettersRead = 1000

// orderHistory makes `pas order history`. It shows a partial history when a service fails, and then still exits
// with 1.
func (a *app) orderHistory() *cobra.Command {
	return &cobra.Command{
		Use:   "history ORDER-ID",
		Short: "Show everything that the three services have about an order",
		Long: `Show what all three services have about one order: its timeline, payment, notifications, and the dead letters that name
it, in the order in which it happened. A service that does not answer is named and the rest is shown; the exit code is 1 then,
and when no service has the order.`,
		Example: `  pas order history 1001
  pas order history 0199c7a2-7f0e-7c3a-9a56-0f6f4f1b2c3d --json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: a.withClient(func(cmd *cobra.Command, c *client.Client, given []string) error {
			h, err := gather(cmd.Context(), c, given[0])
			// Without any answer there is nothing to show.
			if len(h.NoAnswer) == len(messages.Services()) {
				return err // no service answers
			}
			if h.Order == nil && h.Payment == nil && len(h.Notifications) == 0 && len(h.DeadLetters) == 0 && err == nil {
				return fmt.Errorf("no service has order %s", given[0])
			}
			if a.json {
				return errors.Join(a.printer().JSON(h), err)
			}
			showHistory(a.printer(), h)
			return err
		}),
	}
}

// gather asks all services. A missing order, payment or notification is no error: each service has its own part
// of the story. The error joins one failure of each service that did not answer; NoAnswer names those services.
func gather(ctx context.Context, c *client.Client, id string) (orderHistory, error) {
	h := orderHistory{OrderID: id, Timeline: []client.Event{}, Notifications: []client.Notification{}, DeadLetters: []serviceLetter{}, NoAnswer: []string{}}
	var errs []error
	// Each service is named once, however many of its requests fail.
	asked := map[string]bool{}
	failed := func(service string, err error) {
		if err != nil && !client.Missing(err) && !asked[service] {
			asked[service] = true
			h.NoAnswer = append(h.NoAnswer, service)
			errs = append(errs, err)
		}
	}
	if order, err := c.Order(ctx, id, 0); err == nil {
		h.Order = &order
		h.Timeline, err = c.Timeline(ctx, id)
		failed(client.Orders, err)
	} else {
		failed(client.Orders, err)
	}
	if payment, err := c.Payment(ctx, id); err == nil {
		h.Payment = &payment
	} else {
		failed(client.Payments, err)
	}
	notifications, err := c.Notifications(ctx, id)
	failed(client.Notifications, err)
	// Appending keeps [] in JSON where the list is nil.
	h.Notifications = append(h.Notifications, notifications...)
	for _, service := range messages.Services() {
		letters, unread, err := lettersOf(ctx, c, service, id)
		failed(service, err)
		h.LettersUnread += unread
		h.DeadLetters = append(h.DeadLetters, letters...)
	}
	return h, errors.Join(errs...)
}

// lettersOf returns the dead letters of a service whose key or body names the order, the oldest first. Lists have no bodies. So
// letters with another key are skipped, and those without a key are read one by one: unread of them are too many.
func lettersOf(ctx context.Context, c *client.Client, service, id string) (found []serviceLetter, unread int, err error) {
	all, err := c.DeadLetters(ctx, service, client.LetterAll, 0)
	if err != nil {
		return nil, 0, err
	}
	slices.SortFunc(all, func(a, b client.DeadLetter) int { return cmp.Compare(b.ID, a.ID) })
	read := 0
	for _, l := range all {
		switch {
		case l.Key == id:
		case l.Key != "":
			continue
		case read == lettersRead:
			unread++
			continue
		default:
			read++
		}
		whole, err := c.DeadLetter(ctx, service, l.ID)
		if client.Missing(err) { // a newer letter took its room
			continue
		}
		if err != nil {
			return found, unread, err
		}
		if l.Key == id || names(whole, id) {
			found = append(found, serviceLetter{service, whole})
		}
	}
	slices.Reverse(found)
	return found, unread, nil
}

// names reports whether the letter's body is about the order. A readable body is compared by its order id. A
// broken one matches when it contains the id as a JSON string; this can match a neighbour, but misses nothing
// that has it.
func names(l client.DeadLetter, id string) bool {
	r := messages.Record{Topic: l.Topic, Partition: l.Partition, Offset: l.Offset, Value: l.Bytes(), Time: l.Time}
	for _, h := range l.Headers {
		r.Headers = append(r.Headers, messages.Header{Key: h.Key, Value: h.Bytes()})
	}
	if reading, err := messages.Read(r); err == nil {
		return reading.OrderID == id
	}
	return strings.Contains(string(l.Bytes()), `"`+id+`"`)
}

// happening is one line of a history. A zero time means that it has not happened yet.
type happening struct {
	at            time.Time
	service, what string
}

// showHistory sorts the lines of all services by time. The clocks of the services may differ, so neighbours can
// be swapped.
func showHistory(p *render.Printer, h orderHistory) {
	var lines []happening
	add := func(at time.Time, service, format string, args ...any) {
		lines = append(lines, happening{at, service, fmt.Sprintf(format, args...)})
	}
	for _, e := range h.Timeline {
		add(e.At, client.Orders, "%-22s %s%s", render.Plain(e.Event), p.Status(e.To), detail(e.Detail))
	}
	if h.Payment != nil {
		// A payment has one row, so the history shows its latest status at the time of its last change.
		add(h.Payment.UpdatedAt, client.Payments, "%-22s %s %s%s%s", "payment "+render.Plain(h.Payment.Status), h.Payment.Amount, h.Payment.Currency,
			detail(cmp.Or(h.Payment.Reason, h.Payment.PaymentID)), outside(*h.Payment))
	}
	for _, n := range h.Notifications {
		add(n.SentAt, client.Notifications, "%-22s %s to %s: %s", "notification "+render.Plain(n.Status), render.Plain(n.Kind), render.Plain(n.To), render.Plain(n.Message))
	}
	for _, l := range h.DeadLetters {
		add(l.ParkedAt, l.Service, "%-22s %d from %s/%d@%d, %s: %s", "dead letter "+render.Plain(l.State), l.ID, l.Topic, l.Partition, l.Offset,
			render.Plain(l.Reason), render.Plain(l.Detail))
	}
	// Lines without a time, such as an email that is still to be sent, come last.
	slices.SortStableFunc(lines, func(a, b happening) int {
		if a.at.IsZero() != b.at.IsZero() {
			if a.at.IsZero() {
				return 1
			}
			return -1
		}
		return a.at.Compare(b.at)
	})
	if h.Order != nil {
		// The timeline is among the lines already.
		p.Order(*h.Order, nil)
	} else {
		p.Line("order %s is unknown to orders", p.Bold(render.Plain(h.OrderID)))
	}
	for _, l := range lines {
		at := "not yet"
		if !l.at.IsZero() {
			at = l.at.UTC().Format("2006-01-02 15:04:05.000")
		}
		p.Line("  %-23s  %-13s  %s", at, l.service, l.what)
	}
	if h.LettersUnread > 0 {
		p.Line("  %d more dead letters have no key and were not searched: see `pas dead-letters list`", h.LettersUnread)
	}
	for _, service := range h.NoAnswer {
		p.Line("  %-23s  %-13s  did not answer", "", service)
	}
}

// outside marks a payment that another producer than orders requested.
func outside(p client.Payment) string {
	if !p.Outside {
		return ""
	}
	return "  requested by another producer"
}

func detail(text string) string {
	if text == "" {
		return ""
	}
	return "  " + render.Plain(text)
}
