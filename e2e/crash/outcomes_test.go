package crash

import (
	"fmt"

	"pasdetrois/pkg/messages"
)

// output is a message that an order causes. However often it is written, it is the same message.
type output struct{ order, event, kind string }

func (t output) String() string {
	if t.kind == "" {
		return fmt.Sprintf("%s of order %s", t.event, t.order)
	}
	return fmt.Sprintf("%s (%s) of order %s", t.event, t.kind, t.order)
}

// messages checks that the messages that led to each outcome are in Kafka, and that a repeated message is the same to the byte.
// An email that a crash sent twice was sent at two times, so its notification_sent may have two.
func (c *count) messages() {
	first := map[output]record{}
	mailed := map[output]int{}
	for _, e := range c.books.Emails {
		mailed[output{e.OrderID, messages.EventNotificationSent, e.Kind}]++
	}
	for _, r := range c.books.Messages {
		c.tally.Messages++
		if r.Event == messages.EventInventoryChanged { // it is about a product
			continue
		}
		t := output{r.OrderID, r.Event, r.Kind}
		before, again := first[t]
		switch {
		case !again:
			first[t] = r
		case before.MessageID != r.MessageID:
			c.wrong("%s is two messages, %s and %s", t, before.MessageID, r.MessageID)
		case before.Body != r.Body && mailed[t] < 2:
			c.wrong("%s has two bodies: %s and %s", t, before.Body, r.Body)
		default:
			c.tally.MessagesAgain++
		}
		if _, ok := c.orders[r.OrderID]; !ok {
			c.wrong("%s is of no order of ours", t)
		}
	}
	for id, o := range c.orders {
		expected := []output{{id, "order_placed", ""}, {id, "notification_requested", o.Status}, {id, "notification_sent", o.Status}}
		switch o.Status {
		case "confirmed":
			expected = append(expected, output{id, "payment_requested", ""}, output{id, "payment_captured", ""}, output{id, "order_confirmed", ""})
		case "cancelled":
			expected = append(expected, output{id, "order_cancelled", ""})
		case "failed":
			expected = append(expected, output{id, "payment_requested", ""}, output{id, "payment_failed", ""})
		case "rejected":
			expected = append(expected, output{id, "order_rejected", ""})
		}
		for event, never := range map[string]bool{"order_confirmed": o.Status != "confirmed" && o.Status != "cancelled",
			"order_cancelled": o.Status != "cancelled", "order_failed": o.Status != "failed"} {
			if _, ok := first[output{id, event, ""}]; ok && never {
				c.wrong("there is a message %s of order %s, although the order is %s", event, id, o.Status)
			}
		}
		for _, t := range expected {
			if _, ok := first[t]; !ok {
				c.wrong("there is no message %s, although the order is %s", t, o.Status)
			}
		}
	}
}

// notifications: one was sent about each order's end, none about what did not happen, and each email went out under one
// Message-ID. An email may repeat: a process that dies between sending it and noting that cannot know.
func (c *count) notifications() {
	type about struct{ order, kind string }
	happened := map[about]bool{}
	for _, s := range c.books.Steps {
		happened[about{s.ID, s.To}] = true
	}
	suspected := map[string]bool{}
	for _, p := range c.books.Payments {
		suspected[p.ID] = p.Reason == "suspected_fraud" && p.Status == "failed"
	}
	rows := map[about]notificationRow{}
	for _, n := range c.books.Notifications {
		key := about{n.ID, n.Kind}
		if _, twice := rows[key]; twice {
			c.wrong("notification %s of order %s is there twice", n.Kind, n.ID)
		}
		rows[key] = n
		if n.Status != "sent" {
			c.wrong("notification %s of order %s is %s", n.Kind, n.ID, n.Status)
		} else {
			c.tally.NotificationsSent++
		}
		if n.Kind == "fraud_alert" {
			if !suspected[n.ID] {
				c.wrong("order %s was reported as fraud without reason", n.ID)
			}
			continue
		}
		if !happened[key] {
			c.wrong("order %s was never %s, and its customer was told so", n.ID, n.Kind)
		}
		if n.Recipient != c.bought[n.ID].Email {
			c.wrong("notification %s of order %s went to %s", n.Kind, n.ID, n.Recipient)
		}
	}
	for id, o := range c.orders {
		if _, ok := rows[about{id, o.Status}]; !ok {
			c.wrong("order %s is %s, and its customer was not told", id, o.Status)
		}
		if _, ok := rows[about{id, "fraud_alert"}]; suspected[id] && !ok {
			c.wrong("order %s is suspected fraud, and nobody was alerted", id)
		}
		// Confirmed, then cancelled before anybody was told of the first: only the end counts.
		if _, ok := rows[about{id, "confirmed"}]; o.Status == "cancelled" && happened[about{id, "confirmed"}] && !ok {
			c.tally.Superseded++
		}
	}
	messageIDs := map[about]string{}
	for _, e := range c.books.Emails {
		c.tally.Emails++
		key := about{e.OrderID, e.Kind}
		if n, ok := rows[key]; !ok {
			c.wrong("email %s of order %s was sent without a notification", e.Kind, e.OrderID)
		} else if e.To != n.Recipient {
			c.wrong("email %s of order %s went to %s", e.Kind, e.OrderID, e.To)
		}
		switch before, again := messageIDs[key]; {
		case !again:
			messageIDs[key] = e.MessageID
		case before == e.MessageID:
			c.tally.Repeats++
		default:
			c.wrong("email %s of order %s was sent under two Message-IDs, %s and %s", e.Kind, e.OrderID, before, e.MessageID)
		}
	}
	for key, n := range rows {
		if _, ok := messageIDs[key]; n.Status == "sent" && !ok {
			c.wrong("email %s of order %s is marked as sent and never was", key.kind, key.order)
		}
	}
}
