package messages_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pasdetrois/pkg/messages"
)

func headerOf(r messages.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

func record(t *testing.T, m messages.Message) messages.Record {
	t.Helper()
	r, err := m.Record()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRecordsAreCloudEvents(t *testing.T) {
	t.Parallel()
	for _, typ := range messages.Registry() {
		m := messages.Message{ID: "m-1", Event: typ.Example, Source: "orders", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))}
		r := record(t, m)
		want := map[string]string{
			"ce_specversion": "1.0", "ce_id": "m-1", "ce_type": "pasdetrois." + typ.Name + ".v1", "ce_source": "/pasdetrois/orders",
			"ce_time": "2026-01-02T02:04:05.000000Z", "ce_subject": typ.Example.Key(), "content-type": "application/json",
		}
		for k, v := range want {
			if got := headerOf(r, k); got != v {
				t.Errorf("%s: header %s is %q, want %q", typ.Name, k, got, v)
			}
		}
		if r.Topic != typ.Topic || string(r.Key) != typ.Example.Key() || !r.Time.Equal(m.Time) {
			t.Errorf("%s: topic %s, key %s, time %s", typ.Name, r.Topic, r.Key, r.Time)
		}
		if len(headerOf(r, "traceparent")) != 55 {
			t.Errorf("%s: traceparent %q", typ.Name, headerOf(r, "traceparent"))
		}
	}
}

func TestNotificationWithoutOrderHasNoKey(t *testing.T) {
	t.Parallel()
	r := record(t, messages.Message{ID: "m", Event: messages.NotificationRequested{UserID: "u", Message: "m", Channel: "email"}})
	if r.Key != nil || headerOf(r, "ce_subject") != "" {
		t.Errorf("key %q, subject %q", r.Key, headerOf(r, "ce_subject"))
	}
}

func TestTheTraceGoesOnOrStarts(t *testing.T) {
	t.Parallel()
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
	event := messages.PaymentRequested{OrderID: "o", UserID: "u", Amount: messages.Money{Minor: 1, Currency: "USD"}}
	if got := headerOf(record(t, messages.Message{ID: "m", Event: event, TraceParent: parent}), "traceparent"); got != parent {
		t.Errorf("traceparent %q, want %q", got, parent)
	}
	for _, bad := range []string{"", "nonsense", "00-x\r\ny"} {
		got := headerOf(record(t, messages.Message{ID: "m", Event: event, TraceParent: bad}), "traceparent")
		if len(got) != 55 || got == parent {
			t.Errorf("traceparent %q became %q", bad, got)
		}
	}
}

func TestBodyIsFlatOrderedAndExact(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)
	price := messages.Money{Minor: 5, Currency: "KWD"}
	for _, c := range []struct {
		event messages.Event
		want  string
	}{
		{messages.OrderPlaced{OrderID: `o"\/<>&é😀`, UserID: "u", Total: messages.Money{Minor: 1005, Currency: "KWD"}, HasTotal: true,
			Items: []messages.Item{{SKU: "a", Quantity: 2, UnitPrice: &price}, {SKU: "b", Quantity: 1}}},
			`{"event":"order_placed","order_id":"o\"\\/<>&é😀","user_id":"u","total":1.005,"currency":"KWD","items":[{"sku":"a","quantity":2,"unit_price":0.005},{"sku":"b","quantity":1}],"timestamp":"2026-01-02T03:04:05.600000Z"}`},
		{messages.PaymentRefunded{OrderID: "o", UserID: "u", Amount: messages.Money{Currency: "JPY"}},
			`{"event":"payment_refunded","order_id":"o","amount":0,"user_id":"u","currency":"JPY","timestamp":"2026-01-02T03:04:05.600000Z"}`},
		{messages.NotificationRequested{UserID: "u", Message: "a\tb\r\n\"c\"\u2028", Channel: "email"},
			`{"event":"notification_requested","user_id":"u","message":"a\tb\r\n\"c\"` + "\u2028" + `","channel":"email","timestamp":"2026-01-02T03:04:05.600000Z"}`},
	} {
		r := record(t, messages.Message{ID: "m", Event: c.event, Time: at})
		if string(r.Value) != c.want {
			t.Errorf("written\n%s, want\n%s", r.Value, c.want)
		}
		if !json.Valid(r.Value) {
			t.Errorf("no JSON: %s", r.Value)
		}
		roundTrip(t, messages.Message{ID: "m", Event: c.event, Time: at})
	}
}

func TestMessagesThatCouldNotBeReadAreNotWritten(t *testing.T) {
	t.Parallel()
	good := messages.Message{ID: "m", Event: messages.PaymentRequested{OrderID: "o", UserID: "u", Amount: messages.Money{Minor: 1, Currency: "USD"}}}
	record(t, good)
	for name, change := range map[string]func(*messages.Message){
		"no event":           func(m *messages.Message) { m.Event = nil },
		"pointer to event":   func(m *messages.Message) { e := m.Event.(messages.PaymentRequested); m.Event = &e },
		"no id":              func(m *messages.Message) { m.ID = "" },
		"id with line break": func(m *messages.Message) { m.ID = "a\nb" },
		"source with NUL":    func(m *messages.Message) { m.Source = "a\x00" },
		"year 10000":         func(m *messages.Message) { m.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"year 0":             func(m *messages.Message) { m.Time = time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC) },
		"invalid event":      func(m *messages.Message) { m.Event = messages.PaymentRequested{} },
	} {
		m := good
		change(&m)
		if r, err := m.Record(); err == nil {
			t.Errorf("%s: written as %s", name, r.Value)
		}
	}
}

func TestZeroTimeIsNow(t *testing.T) {
	t.Parallel()
	before := time.Now()
	m := messages.Message{ID: "m", Event: messages.PaymentRequested{OrderID: "o", UserID: "u", Amount: messages.Money{Minor: 1, Currency: "USD"}}}
	r := record(t, m)
	if r.Time.Before(before) || r.Time.After(time.Now()) {
		t.Errorf("time is %s", r.Time)
	}
	roundTrip(t, m)
}

// Whatever is valid fits: a message that was accepted can always be passed on.
func TestTheLargestMessagesFit(t *testing.T) {
	t.Parallel()
	wide := func(n int) string { return strings.Repeat("😀", n) }
	quotes := func(n int) string { return strings.Repeat(`"`, n) }
	price := messages.Money{Minor: messages.MaxMinor, Currency: "CLF"}
	for _, fill := range []func(int) string{wide, quotes} {
		var items []messages.Item
		for i := range messages.MaxLines {
			sku := fill(messages.MaxSKULength)
			_, size := utf8.DecodeRuneInString(sku)
			items = append(items, messages.Item{SKU: string(rune('一'+i)) + sku[size:], Quantity: messages.MaxQuantity, UnitPrice: &price})
		}
		for _, e := range []messages.Event{
			messages.OrderRejected{OrderID: fill(messages.MaxIDLength), UserID: fill(messages.MaxIDLength), Total: price, Items: items,
				PaymentMethod: fill(messages.MaxIDLength), Reason: fill(messages.MaxReasonLength)},
			messages.NotificationRequested{OrderID: fill(messages.MaxIDLength), UserID: fill(messages.MaxIDLength),
				Message: fill(messages.MaxMessageLength), Channel: "email"},
		} {
			m := messages.Message{ID: "m", Event: e}
			if r := record(t, m); len(r.Value) > messages.MaxBody*7/8 {
				t.Errorf("%s has %d bytes", e.EventName(), len(r.Value))
			}
			roundTrip(t, m)
		}
	}
}

func TestOrderTimeIsAHeaderOnlyWhenItIsKnown(t *testing.T) {
	t.Parallel()
	event := messages.NotificationRequested{UserID: "u", Message: "m", Channel: "email"}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	r := record(t, messages.Message{ID: "m", Event: event, OrderTime: at})
	if got := headerOf(r, "ce_ordertime"); got != "2026-01-02T02:04:05.000000Z" {
		t.Errorf("ce_ordertime %q", got)
	}
	if m, err := messages.Decode(r); err != nil || !m.OrderTime.Equal(at) {
		t.Errorf("read %v, %v", m.OrderTime, err)
	}
	r = record(t, messages.Message{ID: "m", Event: event})
	if m, err := messages.Decode(r); err != nil || headerOf(r, "ce_ordertime") != "" || !m.OrderTime.IsZero() {
		t.Errorf("an order time out of nothing: %v, %v", m.OrderTime, err)
	}
	r.Headers = append(r.Headers, messages.Header{Key: "ce_ordertime", Value: []byte("soon")})
	if m, err := messages.Decode(r); err != nil || !m.OrderTime.IsZero() {
		t.Errorf("a malformed header counts as absent: %v, %v", m.OrderTime, err)
	}
}

func TestHeadersStandInOneOrder(t *testing.T) {
	t.Parallel()
	want := []string{"ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "ce_subject", "content-type", "traceparent"}
	for _, typ := range messages.Registry() {
		var got []string
		for _, h := range record(t, messages.Message{ID: "m", Event: typ.Example}).Headers {
			got = append(got, h.Key)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: headers %v", typ.Name, got)
		}
	}
}
