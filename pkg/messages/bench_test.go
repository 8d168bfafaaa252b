package messages_test

import (
	"testing"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/messages/internal/contractdoc"
)

func BenchmarkDecode(b *testing.B) {
	for _, typ := range messages.Registry() {
		r, err := contractdoc.Example(typ)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(typ.Name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(r.Value)))
			for b.Loop() {
				if _, err := messages.Decode(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRecord(b *testing.B) {
	for _, typ := range messages.Registry() {
		m := messages.Message{ID: messages.ID("ord-1001", typ.Name, "bench"), Event: typ.Example, Source: typ.Owner,
			Time: time.Unix(1_700_000_000, 0), TraceParent: messages.NewTraceParent()}
		b.Run(typ.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Record(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		messages.ID("018f2c5e-7d3a-7c3e-9b1a-0c6f3a2b1d4e", messages.EventPaymentRequested, "reserve")
	}
}
