package messagestest_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/messages/messagestest"
)

// received is when the table's records were written.
var received = time.Date(2026, 11, 30, 1, 2, 3, 0, time.UTC)

func record(c messagestest.Case) messages.Record {
	return messages.Record{Topic: messages.TopicOrders, Value: c.Value, Headers: c.Headers, Time: received}
}

func TestDecodeReadsTheTable(t *testing.T) {
	t.Parallel()
	for _, c := range messagestest.Cases() {
		m, err := messages.Decode(record(c))
		got := ""
		var bad *messages.DecodeError
		switch {
		case errors.As(err, &bad):
			got = bad.Reason
		case err != nil:
			got = "unknown"
		default:
			got = m.Event.EventName()
		}
		if got != c.Services {
			t.Errorf("%s: %s, want %s (%v)", c.Name, got, c.Services, err)
			continue
		}
		if err != nil {
			continue
		}
		o := m.Event.(messages.OrderPlaced)
		want := received
		if c.Time != "" {
			want, _ = time.Parse(time.RFC3339Nano, c.Time)
		}
		if o.OrderID != c.OrderID || o.UserID != c.UserID || !m.Time.Equal(want) {
			t.Errorf("%s: order %q user %q time %s, want %q %q %s", c.Name, o.OrderID, o.UserID, m.Time, c.OrderID, c.UserID, want)
		}
		if o.HasTotal && o.Total.String() != c.Amount || o.HasTotal == (c.Amount == "") {
			t.Errorf("%s: total %s, want %s", c.Name, o.Total, c.Amount)
		}
		if c.SKU != "" && (strconv.Itoa(o.Items[0].Quantity) != c.Quantity || o.Items[0].SKU != c.SKU) {
			t.Errorf("%s: %d of %q, want %s of %q", c.Name, o.Items[0].Quantity, o.Items[0].SKU, c.Quantity, c.SKU)
		}
	}
}

func TestReadReadsTheTable(t *testing.T) {
	t.Parallel()
	for _, c := range messagestest.Cases() {
		r, err := messages.Read(record(c))
		var bad *messages.DecodeError
		switch {
		case errors.As(err, &bad):
			if bad.Reason != c.Unreadable {
				t.Errorf("%s: %s, want %q", c.Name, bad.Reason, c.Unreadable)
			}
			continue
		case c.Unreadable != "":
			t.Errorf("%s: read, want %s", c.Name, c.Unreadable)
			continue
		}
		amount, stamp := "", ""
		switch {
		case r.HasAmount:
			amount = r.Amount.String()
		case r.BadAmount:
			amount = messagestest.Refused
		}
		if !r.Time.IsZero() {
			stamp = r.Time.Format(time.RFC3339Nano)
		}
		if r.Name() != c.Event || amount != c.Amount || stamp != c.Time {
			t.Errorf("%s: %q %q %q, want %q %q %q", c.Name, r.Name(), amount, stamp, c.Event, c.Amount, c.Time)
		}
		// An id that the services refuse may still be shown.
		if c.Services != messages.ReasonInvalidMessage && (r.OrderID != c.OrderID || r.UserID != c.UserID) {
			t.Errorf("%s: order %q user %q, want %q %q", c.Name, r.OrderID, r.UserID, c.OrderID, c.UserID)
		}
	}
}
