//go:build chaos

package chaos

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
)

// text makes a shape of values that are chosen at random.
func text(name string, values ...string) shape {
	return shape{name, func(rng *rand.Rand) *kgo.Record { return &kgo.Record{Value: []byte(values[rng.IntN(len(values))])} }}
}

// on is text on one topic.
func on(topic, name string, values ...string) shape {
	inner := text(name, values...)
	return shape{name, func(rng *rand.Rand) *kgo.Record {
		r := inner.make(rng)
		r.Topic = topic
		return r
	}}
}

// shapes are all kinds of hostile records. None of them is an honest message, or names an order of an honest client.
func shapes() []shape {
	return []shape{
		{"tombstone", func(rng *rand.Rand) *kgo.Record { return &kgo.Record{Key: []byte{byte(rng.IntN(256))}} }},
		{"random bytes", func(rng *rand.Rand) *kgo.Record { return &kgo.Record{Key: noise(rng, 40), Value: noise(rng, 4000)} }},
		{"large junk", func(rng *rand.Rand) *kgo.Record { return &kgo.Record{Value: noise(rng, 120_000)} }},
		{"large field", func(rng *rand.Rand) *kgo.Record {
			return &kgo.Record{Value: fmt.Appendf(nil, `{"order_id":7.5,"user_id":"u","total":1,"more":%q}`, strings.Repeat("x", rng.IntN(110_000)))}
		}},
		{"beyond the topic's limit", func(rng *rand.Rand) *kgo.Record {
			return &kgo.Record{Value: bytes.Repeat([]byte{' '}, 130_000+rng.IntN(900_000))}
		}},
		{"huge key", func(rng *rand.Rand) *kgo.Record { return &kgo.Record{Key: noise(rng, 100_000), Value: []byte("{}")} }},
		{"huge headers", func(rng *rand.Rand) *kgo.Record {
			r := &kgo.Record{Value: []byte("[]")}
			for n := range 1 + rng.IntN(1000) {
				r.Headers = append(r.Headers, kgo.RecordHeader{Key: fmt.Sprintf("ce_%d\x00", n), Value: noise(rng, 60)})
			}
			return r
		}},
		{"headers that lie", func(rng *rand.Rand) *kgo.Record {
			return &kgo.Record{Value: []byte(`{"event":"order_placed"}`), Headers: []kgo.RecordHeader{
				{Key: "ce_id", Value: nil}, {Key: "ce_id", Value: []byte("\xff\xfe")}, {Key: "ce_type", Value: []byte("pasdetrois.payment_captured.v1")},
				{Key: "ce_time", Value: []byte("yesterday")}, {Key: "traceparent", Value: noise(rng, 55)}, {Key: "", Value: []byte("x")}}}
		}},
		{"deep nesting", func(rng *rand.Rand) *kgo.Record {
			depth := 1 + rng.IntN(50_000)
			return &kgo.Record{Value: []byte(`{"order_id":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`)}
		}},
		text("broken JSON", `{`, `{"order_id":`, `{"order_id":"x"`, `"`, `[}`, `nul`, `{"a":1}{"b":2}`, "\xef\xbb\xbf{}", ` `, ``),
		text("no object", `null`, `true`, `17`, `"order"`, `[]`, `[{"order_id":"x"}]`),
		text("NUL", "\x00", "{\"order_id\":\"a\\u0000b\",\"user_id\":\"u\",\"total\":1}", "{\"order_id\":\"a\x00b\"}", `{"user_id":"\u0000","message":"m","channel":"email"}`),
		text("bad UTF-8", "{\"order_id\":\"\xff\xfe\",\"user_id\":\"u\",\"total\":1}", `{"order_id":"\ud800","user_id":"u","total":1}`),
		text("foreign events", `{"event":"shipment_created","order_id":"x"}`, `{"event":"","order_id":""}`, `{"event":"ORDER_PLACED","order_id":"x","user_id":"u","total":1}`,
			`{"event":"../../etc/passwd"}`, `{"event":7}`, `{"event":null,"order_id":null}`, `{"event":["order_placed"]}`),
		on(messages.TopicOrders, "wrong types of an order", `{"order_id":{},"user_id":"u","total":1}`, `{"order_id":"w1","user_id":[],"total":1}`, `{"order_id":"w2","user_id":"u","total":"one"}`,
			`{"order_id":"w3","user_id":"u","total":-1}`, `{"order_id":"w4","user_id":"u","total":1e999}`, `{"order_id":"w5","user_id":"u","total":0.001}`,
			`{"order_id":"w6","user_id":"u","total":true}`, `{"order_id":"w7","user_id":"u","items":"none"}`, `{"order_id":"w8","user_id":"u","items":[{"sku":"crash-brush","quantity":-1}]}`,
			`{"order_id":"w9","user_id":"u","items":[{"sku":"crash-brush","quantity":1e9}]}`, `{"order_id":"","user_id":"u","total":1}`, `{"order_id":"wa","total":1}`,
			`{"order_id":"wb","user_id":"u","total":1,"currency":"XXXX"}`, `{"order_id":"wc","user_id":"u","total":92233720368547758080}`),
		on(messages.TopicPayments, "wrong types of a payment", `{"order_id":"p1","amount":"x","user_id":"u"}`, `{"order_id":"p2","amount":-1,"user_id":"u"}`, `{"order_id":"p3","user_id":"u"}`,
			`{"amount":1,"user_id":"u"}`, `{"event":"payment_captured","order_id":"p4"}`, `{"event":"payment_refunded"}`, `{"event":"refund_requested","order_id":"p5","amount":null}`),
		on(messages.TopicNotifications, "wrong types of a notification", `{"user_id":"u","channel":"email"}`, `{"user_id":"u","message":7,"channel":"email"}`,
			`{"user_id":"u","message":"m","channel":"pigeon"}`, `{"message":"m","channel":"email"}`, `{"user_id":"u","message":"m","channel":"email","to":"a@b\r\nBcc: c@d"}`),
		on(messages.TopicOrderFailures, "wrong types of a failure", `{"order_id":"f1"}`, `{"event":"payment_failed","order_id":[]}`, `{"event":"order_failed","order_id":"f2"}`, `{"event":"payment_failed"}`),
	}
}

func noise(rng *rand.Rand, most int) []byte {
	b := make([]byte, rng.IntN(most))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}
