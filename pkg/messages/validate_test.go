package messages_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"pasdetrois/pkg/messages"
)

// fieldErrors returns the fields that Validate names.
func fieldErrors(t *testing.T, err error) map[string]string {
	t.Helper()
	fields := map[string]string{}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%v is not a list", err)
	}
	for _, err := range joined.Unwrap() {
		var f *messages.FieldError
		if !errors.As(err, &f) {
			t.Fatalf("%v names no field", err)
		}
		fields[f.Field] = f.Rule
	}
	return fields
}

func TestValidateNamesEveryBrokenRule(t *testing.T) {
	t.Parallel()
	eur := messages.Money{Minor: 1, Currency: "EUR"}
	neg := messages.Money{Minor: -1, Currency: "USD"}
	err := messages.OrderPlaced{
		OrderID: "a\x00", Total: neg, HasTotal: true, Email: "x", PaymentMethod: "a\nb",
		Items: []messages.Item{{SKU: "a", Quantity: 1}, {SKU: "", Quantity: 0}, {SKU: "a", Quantity: 1001, UnitPrice: &eur}, {SKU: "b", Quantity: 1, UnitPrice: &neg}},
	}.Validate()
	got := fieldErrors(t, err)
	for _, want := range []string{"order_id", "user_id", "total", "email", "payment_method", "items[1].sku", "items[1].quantity",
		"items[2].sku", "items[2].quantity", "items[2].unit_price", "items[3].unit_price"} {
		if got[want] == "" {
			t.Errorf("%s is not named", want)
		}
		delete(got, want)
	}
	for field, rule := range got {
		t.Errorf("%s %s", field, rule)
	}
	if !errors.Is(err, messages.ErrAmountNegative) || !errors.Is(err, messages.ErrCurrencyMismatch) {
		t.Errorf("the causes are lost: %v", err)
	}
}

func TestAnOrderHasAtMostAHundredLines(t *testing.T) {
	t.Parallel()
	o := messages.OrderPlaced{OrderID: "o", UserID: "u", Total: messages.Money{Currency: "USD"}}
	for i := range messages.MaxLines {
		o.Items = append(o.Items, messages.Item{SKU: strconv.Itoa(i), Quantity: 1})
	}
	if err := o.Validate(); err != nil {
		t.Errorf("%d lines: %v", len(o.Items), err)
	}
	o.Items = append(o.Items, messages.Item{SKU: "one more", Quantity: 1})
	if got := fieldErrors(t, o.Validate()); got["items"] == "" {
		t.Errorf("%d lines: %v", len(o.Items), got)
	}
}

func TestAmountsHaveTheirLimits(t *testing.T) {
	t.Parallel()
	m := func(minor int64, currency string) messages.Money {
		return messages.Money{Minor: minor, Currency: currency}
	}
	event := map[string]func(messages.Money) messages.Event{
		"order_placed": func(m messages.Money) messages.Event {
			return messages.OrderPlaced{OrderID: "o", UserID: "u", Total: m, HasTotal: true}
		},
		"payment_requested": func(m messages.Money) messages.Event {
			return messages.PaymentRequested{OrderID: "o", UserID: "u", Amount: m}
		},
		"payment_captured": func(m messages.Money) messages.Event {
			return messages.PaymentCaptured{OrderID: "o", UserID: "u", Amount: m, PaymentID: "p"}
		},
		"refund_requested": func(m messages.Money) messages.Event {
			return messages.RefundRequested{OrderID: "o", UserID: "u", Amount: m, Reason: "r"}
		},
		"payment_refunded": func(m messages.Money) messages.Event {
			return messages.PaymentRefunded{OrderID: "o", UserID: "u", Amount: m}
		},
		"order_rejected": func(m messages.Money) messages.Event {
			return messages.OrderRejected{OrderID: "o", UserID: "u", Total: m, Reason: "r"}
		},
		"payment_failed": func(m messages.Money) messages.Event {
			return messages.PaymentFailed{OrderID: "o", UserID: "u", Total: m, Reason: "r"}
		},
	}
	zero := map[string]bool{"payment_refunded": true, "order_rejected": true, "payment_failed": true}
	for name, make := range event {
		for _, c := range []struct {
			m    messages.Money
			want bool
		}{
			{m(1, "USD"), true}, {m(messages.MaxMinor, "JPY"), true}, {m(0, "USD"), zero[name]}, {m(-1, "USD"), false},
			{m(messages.MaxMinor+1, "USD"), false}, {m(1, ""), false}, {m(1, "usd"), false}, {m(1, "XXX"), false},
		} {
			if err := make(c.m).Validate(); (err == nil) != c.want {
				t.Errorf("%s of %d %q: %v", name, c.m.Minor, c.m.Currency, err)
			}
		}
	}
	o := messages.OrderPlaced{OrderID: "o", UserID: "u", Items: []messages.Item{{SKU: "a", Quantity: 1}}, Total: m(0, "USD")}
	if err := o.Validate(); err != nil {
		t.Errorf("an order to be priced: %v", err)
	}
	o.Total.Minor = 1
	if o.Validate() == nil {
		t.Error("a total that is not given has a value")
	}
	o.Total = messages.Money{}
	if o.Validate() == nil {
		t.Error("an order without currency")
	}
}

func TestEmailAddressesArePlausible(t *testing.T) {
	t.Parallel()
	notify := func(to string) error {
		return messages.NotificationRequested{UserID: "u", Message: "m", Channel: "email", To: to}.Validate()
	}
	for _, ok := range []string{"", "ada@example.com", "a.b+c@x.example", "a@localhost", "o'neil@example.com", "zoë@exämple.de", "user_1@example.com",
		strings.Repeat("a", 64) + "@example.com"} {
		if err := notify(ok); err != nil {
			t.Errorf("%q: %v", ok, err)
		}
	}
	for _, bad := range []string{"ada", "@example.com", "ada@", "a b@example.com", "a@b@example.com", "ada@example..com", "ada@-example.com", "ada@example-.com",
		".ada@example.com", "ada.@example.com", "a..b@example.com", "ada@example.com ", "Ada <ada@example.com>", "ada@example.com,eve@example.com",
		"ada@example.com\r\nBcc: eve@example.com", "ada\x00@example.com", "\xff@example.com", `"a"@example.com`, "ada@exam_ple.com", "a@[127.0.0.1]",
		strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("a", 64) + ".com", "a@" + strings.Repeat("a.", 130) + "com"} {
		if notify(bad) == nil {
			t.Errorf("%q passes for an address", bad)
		}
	}
}

func TestTextHasItsLimits(t *testing.T) {
	t.Parallel()
	notify := func(text string) error {
		return messages.NotificationRequested{UserID: "u", Message: text, Channel: "email"}.Validate()
	}
	reject := func(reason string) error {
		return messages.PaymentFailed{OrderID: "o", UserID: "u", Total: messages.Money{Currency: "USD"}, Reason: reason}.Validate()
	}
	for text, want := range map[string]bool{
		"m": true, "two\nlines\r\n\tand a tab": true, strings.Repeat("é", messages.MaxMessageLength): true, "family 👨‍👩‍👧": true,
		"": false, " \n": false, strings.Repeat("é", messages.MaxMessageLength+1): false, "a\x00b": false, "a\x1b[31mb": false, "a\u0085b": false, "\xff": false,
	} {
		if err := notify(text); (err == nil) != want {
			t.Errorf("message %.20q: %v", text, err)
		}
	}
	for reason, want := range map[string]bool{
		"out_of_stock": true, "the bank says no": true, strings.Repeat("é", messages.MaxReasonLength): true,
		"": false, "a\nb": false, "a\tb": false, strings.Repeat("é", messages.MaxReasonLength+1): false, "\xff": false,
	} {
		if err := reject(reason); (err == nil) != want {
			t.Errorf("reason %.20q: %v", reason, err)
		}
	}
	for kind, want := range map[string]bool{"": true, messages.KindFraudAlert: true, "shipped_2": true, "Confirmed": false, "a b": false, "a\n": false, strings.Repeat("a", 65): false} {
		if err := (messages.NotificationRequested{UserID: "u", Message: "m", Channel: "email", Kind: kind}).Validate(); (err == nil) != want {
			t.Errorf("kind %q: %v", kind, err)
		}
	}
	for channel, want := range map[string]bool{"email": true, "": false, "sms": false, "Email": false} {
		if err := (messages.NotificationRequested{UserID: "u", Message: "m", Channel: channel}).Validate(); (err == nil) != want {
			t.Errorf("channel %q: %v", channel, err)
		}
	}
	for id, want := range map[string]bool{"o": true, "a b": true, "/": true, "\xff": false, "a\xffb": false, " a": false, "a ": false, ".": false, "\u00a0": false, "a\u2028b": false} {
		if err := (messages.PaymentFailed{OrderID: id, UserID: "u", Total: messages.Money{Currency: "USD"}, Reason: "r"}).Validate(); (err == nil) != want {
			t.Errorf("order_id %q: %v", id, err)
		}
	}
}
