package signing

import (
	"fmt"
	"testing"

	"pasdetrois/pkg/messages"
)

// BenchmarkSignAndCheck measures both sides for one record: published alone, and by many goroutines at the same time.
func BenchmarkSignAndCheck(b *testing.B) {
	orders, payments := newPair(b, "orders"), newPair(b, "payments")
	keys, signer := trusting(b, orders.entry+","+payments.entry), payments.signer(b)
	for _, n := range []int{1, 16, 64} {
		records := make([]messages.Record, n)
		for i := range records {
			records[i] = captured(b, fmt.Sprint("ord-", i))
		}
		b.Run(fmt.Sprintf("together=%d", n), func(b *testing.B) {
			for b.Loop() {
				for _, r := range sign(b, signer, records...) {
					m, err := messages.Decode(r)
					if err == nil {
						err = keys.Check(r, m)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
		})
	}
	b.Run("decode-only", func(b *testing.B) {
		r := captured(b, "o")
		for b.Loop() {
			_, _ = messages.Decode(r)
		}
	})
	b.Run("callers=64", func(b *testing.B) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			r := captured(b, "ord-1")
			for pb.Next() {
				if _, err := keys.Decode(sign(b, signer, r)[0]); err != nil {
					b.Error(err)
				}
			}
		})
	})
}
