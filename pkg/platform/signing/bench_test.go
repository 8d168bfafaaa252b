package signing

import (
	"fmt"
	"testing"

	"pasdetrois/pkg/messages"
)

// BenchmarkSignAndCheck measures both sides for one record: published alone, and with others.
func BenchmarkSignAndCheck(b *testing.B) {
	orders, payments := newPair(b, "orders"), newPair(b, "payments")
	keys, signer := trusting(b, orders.entry+","+payments.entry), payments.signer(b)
	for _, n := range []int{1, 8, 32, 64} {
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
}
