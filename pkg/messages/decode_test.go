package messages_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pasdetrois/pkg/messages"
)

func order(value string) messages.Record {
	return messages.Record{Topic: messages.TopicOrders, Value: []byte(value), Time: time.Unix(1_700_000_000, 0)}
}

// with returns a valid plain order with more members.
func with(members string) messages.Record {
	return order(`{"order_id":"o-1","user_id":"u-1","total":49.99` + members + `}`)
}

func decodeOrder(t *testing.T, r messages.Record) messages.OrderPlaced {
	t.Helper()
	m, err := messages.Decode(r)
	if err != nil {
		t.Fatalf("%s: %v", r.Value, err)
	}
	return m.Event.(messages.OrderPlaced)
}

// reasonOf returns the stable code of a refusal, "" when r is accepted.
func reasonOf(t *testing.T, r messages.Record) (reason, detail string) {
	t.Helper()
	m, err := messages.Decode(r)
	if err == nil {
		return "", ""
	}
	var bad *messages.DecodeError
	if !errors.As(err, &bad) {
		t.Fatalf("error %v is no DecodeError", err)
	}
	if m.Event != nil || bad.Reason == "" || bad.Detail == "" || errors.Is(err, messages.ErrUnknownEvent) {
		t.Fatalf("half a refusal: %+v, %+v", m, bad)
	}
	return bad.Reason, bad.Detail
}

func TestBadBodiesAreRefusedWithTheirReason(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	var lines, keys []string
	for i := range 101 {
		lines = append(lines, fmt.Sprintf(`{"sku":"s-%d","quantity":1}`, i))
		keys = append(keys, fmt.Sprintf(`"k%d":1`, i))
	}
	for _, c := range []struct {
		name   string
		record messages.Record
		reason string // "" = accepted
		detail string
	}{
		{"tombstone", messages.Record{Topic: "orders"}, "empty_body", ""},
		{"empty", order(""), "empty_body", ""},
		{"white space", order(" \n"), "not_json", ""},
		{"text", order("hello"), "not_json", ""},
		{"half an object", order(`{"order_id":"o-1"`), "not_json", ""},
		{"single quotes", order(`{'order_id':'o-1'}`), "not_json", ""},
		{"trailing comma", with(`,`), "not_json", ""},
		{"no comma", order(`{"order_id":"o-1" "user_id":"u"}`), "not_json", ""},
		{"no colon", order(`{"order_id" "o-1"}`), "not_json", ""},
		{"trailing bytes", order(`{"order_id":"o-1","user_id":"u-1","total":1} {}`), "not_json", ""},
		{"trailing NUL", order("{\"order_id\":\"o-1\",\"user_id\":\"u-1\",\"total\":1}\x00"), "not_json", ""},
		{"byte order mark alone", order("\ufeff"), "not_json", ""},
		{"byte order mark in front", order("\ufeff" + `{"order_id":"o-1","user_id":"u-1","total":49.99}`), "", ""},
		{"byte order mark twice", order("\ufeff\ufeff" + `{"order_id":"o-1","user_id":"u-1","total":49.99}`), "not_json", ""},
		{"avro", order("\x00\x00\x00\x00\x01\x06o-1"), "not_json", "schema registry"},
		{"JSON behind a schema id", order("\x00\x00\x00\x00\x01" + `{"order_id":"o-1","user_id":"u-1","total":49.99}`), "not_json", "into a header"},
		{"invalid UTF-8", with(",\"email\":\"a\xff@example.com\""), "not_json", "UTF-8"},
		{"invalid UTF-8 in a field nobody reads", with(",\"x\":\"\xc3\x28\""), "not_json", "UTF-8"},
		{"half a surrogate pair", with(`,"x":"\ud800"`), "not_json", ""},
		{"surrogates the wrong way round", with(`,"x":"\udc00\ud800"`), "not_json", ""},
		{"half a pair before text", with(`,"x":"\ud800\u0041"`), "not_json", ""},
		{"bad escape", with(`,"x":"\x41"`), "not_json", ""},
		{"bad hex", with(`,"x":"\u00g1"`), "not_json", ""},
		{"raw control character", with(",\"x\":\"a\nb\""), "not_json", ""},
		{"raw control character behind an escape", with(",\"x\":\"\\t\nb\""), "not_json", ""},
		{"leading zero", with(`,"x":01`), "not_json", ""},
		{"NaN", with(`,"x":NaN`), "not_json", ""},
		{"number without end", with(`,"x":1.`), "not_json", ""},
		{"exponent without end", with(`,"x":1e`), "not_json", ""},
		{"misspelt literal", with(`,"x":nul`), "not_json", ""},
		{"array", order(`[1]`), "invalid_message", "an object"},
		{"string", order(`"order"`), "invalid_message", "an object"},
		{"number", order(`1`), "invalid_message", "an object"},
		{"null", order(`null`), "invalid_message", "an object"},
		{"array of half", order(`[1`), "not_json", ""},
		{"key twice", with(`,"order_id":"o-2"`), "duplicate_key", "order_id"},
		{"key twice, the same value", with(`,"total":49.99`), "duplicate_key", "total"},
		{"key twice, once escaped", with(`,"order\u005fid":"o-2"`), "duplicate_key", "order_id"},
		{"key twice, once null", with(`,"x":1,"x":null`), "duplicate_key", "x"},
		{"key twice in a line", with(`,"items":[{"sku":"a","quantity":1,"quantity":2}]`), "duplicate_key", "quantity"},
		{"key twice where nobody reads", with(`,"x":{"y":[{"z":1,"z":2}]}`), "duplicate_key", "z"},
		{"key twice among many", with(`,` + strings.Join(keys, ",") + `,"k99":1`), "duplicate_key", "k99"},
		{"early key twice among many", with(`,` + strings.Join(keys, ",") + `,"k0":1`), "duplicate_key", "k0"},
		{"one key in two objects", with(`,"x":{"a":1},"y":{"a":1},"a":1`), "", ""},
		{"many keys", with(`,` + strings.Join(keys, ",")), "", ""},
		{"as deep as allowed", with(`,"x":` + nested(31)), "", ""},
		{"too deep", with(`,"x":` + nested(32)), "too_deep", ""},
		{"far too deep", with(`,"x":` + nested(20_000)), "too_deep", ""},
		{"as large as allowed", with(`,"x":"` + strings.Repeat("x", messages.MaxBody-len(with(`,"x":""`).Value)) + `"`), "", ""},
		{"too large", with(`,"x":"` + strings.Repeat("x", messages.MaxBody-len(with(`,"x":""`).Value)+1) + `"`), "too_large", ""},
		{"1 MiB", order(strings.Repeat("x", 1<<20)), "too_large", ""},
		{"another topic", messages.Record{Topic: "shipments", Value: with("").Value}, "unknown_topic", "shipments"},

		{"event a number", with(`,"event":1`), "invalid_message", "event"},
		{"event an object", with(`,"event":{}`), "invalid_message", "event"},
		{"event empty", with(`,"event":""`), "invalid_message", "event"},
		{"event with control characters", with(`,"event":"a\u0000"`), "invalid_message", "event"},
		{"event null", with(`,"event":null`), "", ""},

		{"order_id missing", order(`{"user_id":"u-1","total":1}`), "invalid_message", "order_id is required"},
		{"order_id null", order(`{"order_id":null,"user_id":"u-1","total":1}`), "invalid_message", "order_id is required"},
		{"order_id empty", order(`{"order_id":"","user_id":"u-1","total":1}`), "invalid_message", "order_id is required"},
		{"order_id a fraction", order(`{"order_id":1.5,"user_id":"u-1","total":1}`), "invalid_message", "order_id"},
		{"order_id in exponent notation", order(`{"order_id":1e3,"user_id":"u-1","total":1}`), "invalid_message", "order_id"},
		{"order_id a float", order(`{"order_id":17.0,"user_id":"u-1","total":1}`), "invalid_message", "order_id"},
		{"order_id true", order(`{"order_id":true,"user_id":"u-1","total":1}`), "invalid_message", "order_id"},
		{"order_id an array", order(`{"order_id":["o"],"user_id":"u-1","total":1}`), "invalid_message", "order_id"},
		{"order_id with NUL", order(`{"order_id":"a\u0000b","user_id":"u-1","total":1}`), "invalid_message", "order_id"},
		{"order_id with a line break", order(`{"order_id":"a\nb","user_id":"u-1","total":1}`), "invalid_message", "order_id"},
		{"order_id with DEL", order(`{"order_id":"a\u007fb","user_id":"u-1","total":1}`), "invalid_message", "order_id"},
		{"order_id with C1 control", order(`{"order_id":"a\u0085b","user_id":"u-1","total":1}`), "invalid_message", "order_id"},
		{"order_id written backwards", order(`{"order_id":"a\u202eb","user_id":"u-1","total":1}`), "invalid_message", "order_id"},
		{"order_id with zero width", order(`{"order_id":"a\u200bb","user_id":"u-1","total":1}`), "invalid_message", "order_id"},
		{"order_id with a space in front", order(`{"order_id":" a","user_id":"u-1","total":1}`), "invalid_message", "order_id"},
		{"order_id two dots", order(`{"order_id":"..","user_id":"u-1","total":1}`), "invalid_message", "order_id"},
		{"order_id long", order(`{"order_id":"` + strings.Repeat("é", 128) + `","user_id":"u-1","total":1}`), "", ""},
		{"order_id too long", order(`{"order_id":"` + strings.Repeat("é", 129) + `","user_id":"u-1","total":1}`), "invalid_message", "128"},
		{"order_id too many digits", order(`{"order_id":` + strings.Repeat("1", 129) + `,"user_id":"u-1","total":1}`), "invalid_message", "128"},
		{"several problems", order(`{"order_id":1.5,"user_id":true}`), "invalid_message", "user_id"},

		{"no total, no items", order(`{"order_id":"o","user_id":"u"}`), "invalid_message", "total"},
		{"no total, empty items", order(`{"order_id":"o","user_id":"u","items":[]}`), "invalid_message", "total"},
		{"total null", order(`{"order_id":"o","user_id":"u","total":null}`), "invalid_message", "total"},
		{"total true", order(`{"order_id":"o","user_id":"u","total":true}`), "invalid_message", "total"},
		{"total 0", order(`{"order_id":"o","user_id":"u","total":0}`), "invalid_message", "total"},
		{"total negative", order(`{"order_id":"o","user_id":"u","total":-49.99}`), "invalid_message", "negative"},
		{"total over-precise", order(`{"order_id":"o","user_id":"u","total":49.999}`), "invalid_message", "decimals"},
		{"total huge", order(`{"order_id":"o","user_id":"u","total":1e30}`), "invalid_message", "too large"},
		{"total with a comma", order(`{"order_id":"o","user_id":"u","total":"49,99"}`), "invalid_message", "total"},
		{"total empty text", order(`{"order_id":"o","user_id":"u","total":""}`), "invalid_message", "total"},
		{"currency unknown", with(`,"currency":"XXX"`), "unknown_currency", "XXX"},
		{"currency unknown, with a price", with(`,"currency":"XXX","items":[{"sku":"a","quantity":1,"unit_price":1}]`), "unknown_currency", `^currency "XXX"`},
		{"currency a number", with(`,"currency":840`), "invalid_message", "currency"},
		{"currency not of letters", with(`,"currency":"U\u0000D"`), "unknown_currency", ""},
		{"currency decides the decimals", with(`,"currency":"JPY"`), "invalid_message", "decimals"},

		{"items an object", with(`,"items":{}`), "invalid_message", "items"},
		{"items of numbers", with(`,"items":[1]`), "invalid_message", "items[0] must be an object"},
		{"100 lines", with(`,"items":[` + strings.Join(lines[:100], ",") + `]`), "", ""},
		{"101 lines", with(`,"items":[` + strings.Join(lines, ",") + `]`), "invalid_message", "100"},
		{"sku missing", with(`,"items":[{"quantity":1}]`), "invalid_message", "items[0].sku"},
		{"sku a fraction", with(`,"items":[{"sku":1.5,"quantity":1}]`), "invalid_message", "items[0].sku"},
		{"sku too long", with(`,"items":[{"sku":"` + strings.Repeat("x", 65) + `","quantity":1}]`), "invalid_message", "items[0].sku"},
		{"sku twice", with(`,"items":[{"sku":"a","quantity":1},{"sku":"a","quantity":1}]`), "invalid_message", "items[1].sku must not repeat items[0].sku"},
		{"sku twice, once as a number", with(`,"items":[{"sku":"7","quantity":1},{"sku":7,"quantity":1}]`), "invalid_message", "repeat"},
		{"quantity missing", with(`,"items":[{"sku":"a","quantity":2},{"sku":"b"}]`), "invalid_message", "items[1].quantity"},
		{"quantity 0", with(`,"items":[{"sku":"a","quantity":0}]`), "invalid_message", "items[0].quantity"},
		{"quantity 1000", with(`,"items":[{"sku":"a","quantity":1000}]`), "", ""},
		{"quantity 1001", with(`,"items":[{"sku":"a","quantity":1001}]`), "invalid_message", "items[0].quantity"},
		{"quantity negative", with(`,"items":[{"sku":"a","quantity":-1}]`), "invalid_message", "items[0].quantity"},
		{"quantity 1.5", with(`,"items":[{"sku":"a","quantity":1.5}]`), "invalid_message", "items[0].quantity"},
		{"quantity 2^64+1", with(`,"items":[{"sku":"a","quantity":18446744073709551617}]`), "invalid_message", "items[0].quantity"},
		{"quantity text", with(`,"items":[{"sku":"a","quantity":"1"}]`), "invalid_message", "items[0].quantity"},
		{"unit_price negative", with(`,"items":[{"sku":"a","quantity":1,"unit_price":-1}]`), "invalid_message", "items[0].unit_price"},
		{"unit_price over-precise", with(`,"items":[{"sku":"a","quantity":1,"unit_price":0.001}]`), "invalid_message", "items[0].unit_price"},
		{"unit_price an object", with(`,"items":[{"sku":"a","quantity":1,"unit_price":{}}]`), "invalid_message", "items[0].unit_price"},

		{"payment_method a number", with(`,"payment_method":1`), "invalid_message", "payment_method"},
		{"payment_method with a line break", with(`,"payment_method":"a\nb"`), "invalid_message", "payment_method"},
		{"email without @", with(`,"email":"ada"`), "invalid_message", "email"},
		{"email with a header in it", with(`,"email":"ada@example.com\nBcc: x@example.com"`), "invalid_message", "email"},
		{"email a number", with(`,"email":1`), "invalid_message", "email"},
		{"timestamp text", with(`,"timestamp":"yesterday"`), "invalid_message", "timestamp"},
		{"timestamp true", with(`,"timestamp":true`), "invalid_message", "timestamp"},
		{"timestamp negative", with(`,"timestamp":-1`), "invalid_message", "timestamp"},
		{"timestamp beyond everything", with(`,"timestamp":1e40`), "invalid_message", "timestamp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			reason, detail := reasonOf(t, c.record)
			named := strings.Contains(detail, c.detail)
			if start, ok := strings.CutPrefix(c.detail, "^"); ok {
				named = strings.HasPrefix(detail, start)
			}
			if reason != c.reason || !named {
				t.Errorf("reason %q (%s), want %q about %q", reason, detail, c.reason, c.detail)
			}
		})
	}
}

func TestUnknownEventsAreNoErrorsOfTheSender(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"orders", `{"event":"order_shipped","order_id":{},"items":7,"total":"?"}`},
		{"orders", `{"event":"payment_captured","order_id":"o-1"}`},
		{"payments", `{"event":"order_placed","order_id":"o","user_id":"u","total":1}`},
		{"notifications", `{"event":"Notification_requested"}`},
		{"order-failures", `{"event":"payment_refunded"}`},
	} {
		m, err := messages.Decode(messages.Record{Topic: c[0], Value: []byte(c[1])})
		var bad *messages.DecodeError
		if !errors.Is(err, messages.ErrUnknownEvent) || errors.As(err, &bad) || m.Event != nil {
			t.Errorf("%s on %s: %+v, %v", c[1], c[0], m, err)
		}
	}
}

func TestTheTopicNamesTheEventWhenTheBodyDoesNot(t *testing.T) {
	t.Parallel()
	const all = `{"order_id":"o","user_id":"u","total":1,"amount":1,"message":"m","reason":"r"}`
	for _, topic := range messages.Topics() {
		m, err := messages.Decode(messages.Record{Topic: topic.Name, Value: []byte(all)})
		if err != nil || m.Event.EventName() != topic.First {
			t.Errorf("%s: %+v, %v", topic.Name, m, err)
		}
	}
	// A type of ours says more than the topic; the body has the last word.
	for _, c := range []struct{ header, body, want string }{
		{"pasdetrois.payment_captured.v1", `{"order_id":"o","user_id":"u","amount":1,"payment_id":"p"}`, messages.EventPaymentCaptured},
		{"com.example.payment", `{"event":"payment_requested","order_id":"o","user_id":"u","amount":1}`, messages.EventPaymentRequested},
		{"pasdetrois.payment_captured.v1", `{"event":"payment_requested","order_id":"o","user_id":"u","amount":1}`, messages.EventPaymentRequested},
	} {
		m, err := messages.Decode(messages.Record{Topic: "payments", Value: []byte(c.body), Headers: []messages.Header{{Key: "ce_type", Value: []byte(c.header)}}})
		if err != nil || m.Event.EventName() != c.want {
			t.Errorf("%s with %s: %+v, %v", c.body, c.header, m, err)
		}
	}
}

func TestPlainWaysOfWritingAValueAreUnderstood(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"o-1"`: "o-1", `7`: "7", `-7`: "-7", `0`: "0", `-0`: "0", `12345678901234567890123`: "12345678901234567890123",
		`"a b/c?d"`: "a b/c?d", `"\u00fc"`: "ü", `"\"\\\/"`: `"\/`, `"😀"`: "😀",
	} {
		if got := decodeOrder(t, order(`{"order_id":`+in+`,"user_id":"u","total":1}`)).OrderID; got != want {
			t.Errorf("order_id %s is read as %q", in, got)
		}
	}
	for in, want := range map[string]int64{`49.99`: 4999, `"49.99"`: 4999, `49.990000000000002`: 4999, `5`: 500, `4.999e1`: 4999} {
		if got := decodeOrder(t, order(`{"order_id":"o","user_id":"u","total":`+in+`}`)).Total; got.Minor != want {
			t.Errorf("total %s is read as %s", in, got)
		}
	}
	for in, want := range map[string]int{`2`: 2, `2.0`: 2, `2e0`: 2, `20e-1`: 2, `1e3`: 1000} {
		if got := decodeOrder(t, with(`,"items":[{"sku":"a","quantity":`+in+`}]`)).Items[0].Quantity; got != want {
			t.Errorf("quantity %s is read as %d", in, got)
		}
	}
	for in, want := range map[string]string{`"EUR"`: "EUR", `"eur"`: "EUR", `"Eur"`: "EUR", `null`: "USD", `""`: "USD"} {
		if got := decodeOrder(t, with(`,"currency":`+in)).Total.Currency; got != want {
			t.Errorf("currency %s is read as %q", in, got)
		}
	}
	// The currency may stand behind the amounts that it belongs to.
	e := decodeOrder(t, order(`{"items":[{"unit_price":"1.234","sku":"a","quantity":1}],"total":1.234,"order_id":"o","user_id":"u","currency":"KWD"}`))
	if e.Total.Minor != 1234 || e.Items[0].UnitPrice.String() != "1.234 KWD" {
		t.Errorf("read as %+v", e)
	}
	if e := decodeOrder(t, with(`,"email":"","payment_method":null,"items":null`)); e.Email != "" || e.PaymentMethod != "" || e.Items != nil {
		t.Errorf("empty members are read as %+v", e)
	}
}

func TestDecodeKeepsNothingOfTheRecord(t *testing.T) {
	t.Parallel()
	r := with(`,"email":"ada@example.com"`)
	e := decodeOrder(t, r)
	for i := range r.Value {
		r.Value[i] = 'x'
	}
	if e.OrderID != "o-1" || e.Email != "ada@example.com" {
		t.Errorf("the event changed with the buffer: %+v", e)
	}
}
