package messages_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pasdetrois/pkg/messages"
)

// What plain producers write, without key and headers, and what it means.
func TestForeignMessagesAreUnderstood(t *testing.T) {
	t.Parallel()
	received := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	usd := func(n int64) messages.Money { return messages.Money{Minor: n, Currency: "USD"} }
	price := messages.Money{Minor: 1250, Currency: "EUR"}
	want := map[string]messages.Message{
		"orders.minimal":     {Event: messages.OrderPlaced{OrderID: "f-1", UserID: "u-1", Total: usd(4999), HasTotal: true}},
		"orders.integers":    {Event: messages.OrderPlaced{OrderID: "9223372036854775808", UserID: "42", Total: usd(5000), HasTotal: true}},
		"orders.float-noise": {Event: messages.OrderPlaced{OrderID: "f-2", UserID: "u-1", Total: usd(30), HasTotal: true}},
		"orders.items": {Event: messages.OrderPlaced{OrderID: "f-3", UserID: "u-1", Total: messages.Money{Currency: "EUR"},
			Items: []messages.Item{{SKU: "tutu", Quantity: 2}, {SKU: "1001", Quantity: 1, UnitPrice: &price}}}},
		"orders.python": {Event: messages.OrderPlaced{OrderID: "f-4", UserID: "u-1", Total: usd(9990), HasTotal: true},
			Time: time.Date(2024, 1, 2, 3, 4, 5, 123456000, time.UTC)},
		"orders.javascript": {Event: messages.OrderPlaced{OrderID: "f-5", UserID: "u-1", Total: usd(4999), HasTotal: true},
			Time: time.Date(2024, 1, 2, 3, 4, 5, 123000000, time.UTC)},
		"payments.minimal": {Event: messages.PaymentRequested{OrderID: "f-1", UserID: "u-1", Amount: usd(4999)}},
		"payments.epoch": {Event: messages.PaymentRequested{OrderID: "17", UserID: "42", Amount: usd(15000)},
			Time: time.Date(2024, 1, 2, 3, 4, 5, 123456000, time.UTC)},
		"notifications.minimal": {Event: messages.NotificationRequested{UserID: "u-1", Message: "Your tutu is ready.", Channel: "email"}},
		"notifications.order": {Event: messages.NotificationRequested{UserID: "42", Message: "Café 😀\nsecond line", Channel: "email",
			OrderID: "17", To: "ada@example.com"}},
	}
	files, err := filepath.Glob("testdata/foreign/*.json")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d foreign messages, %d known, %v", len(files), len(want), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, ok := want[name]
			if !ok {
				t.Fatal("nothing says what it means")
			}
			if want.Time.IsZero() {
				want.Time = received
			}
			topic, _, _ := strings.Cut(name, ".")
			r := messages.Record{Topic: topic, Partition: 1, Offset: 5, Value: read(t, file), Time: received}
			got, err := messages.Decode(r)
			if err != nil {
				t.Fatal(err)
			}
			if want.ID = got.ID; len(got.ID) != 36 {
				t.Errorf("id %q", got.ID)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("read\n%+v, want\n%+v", got, want)
			}
			roundTrip(t, got)
		})
	}
}

// roundTrip checks that m is written and read again as the same.
func roundTrip(t testing.TB, m messages.Message) {
	t.Helper()
	r, err := m.Record()
	if err != nil {
		t.Fatalf("%+v cannot be written: %v", m, err)
	}
	got, err := messages.Decode(r)
	if err != nil {
		t.Fatalf("%s cannot be read again: %v", r.Value, err)
	}
	if m.TraceParent == "" {
		m.TraceParent = got.TraceParent
	}
	if m.Time.IsZero() {
		m.Time = got.Time
	}
	if !reflect.DeepEqual(got, m) {
		t.Fatalf("written %+v\nread    %+v", m, got)
	}
}

// Nobody acts on the step of a request, so another producer may write anything there.
func TestAStepOfAnotherFormCountsAsAbsent(t *testing.T) {
	t.Parallel()
	for _, step := range []string{`"Claims Desk / 7"`, `7`, `["x"]`, `"` + strings.Repeat("s", 300) + `"`} {
		for body, want := range map[string]messages.Event{
			`{"event":"payment_requested","order_id":"o","user_id":"u","amount":1,"step":`: messages.PaymentRequested{OrderID: "o", UserID: "u",
				Amount: messages.Money{Minor: 100, Currency: "USD"}},
			`{"event":"refund_requested","order_id":"o","user_id":"u","amount":1,"reason":"damaged","step":`: messages.RefundRequested{OrderID: "o", UserID: "u",
				Amount: messages.Money{Minor: 100, Currency: "USD"}, Reason: "damaged"},
		} {
			got, err := messages.Decode(messages.Record{Topic: messages.TopicPayments, Value: []byte(body + step + `}`)})
			if err != nil || !reflect.DeepEqual(got.Event, want) {
				t.Errorf("%s: %+v, %v", step, got.Event, err)
			}
		}
	}
}
