package app_test

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

// BenchmarkPlaceOrder is the ingest without HTTP, by how many clients place orders at the same time. The tests' Postgres
// does not force its commits to disk, so this compares versions of the code, and says nothing about a real one.
func BenchmarkPlaceOrder(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run("clients="+strconv.Itoa(clients), func(b *testing.B) {
			w := setup(b)
			_, err := w.db.Exec(b.Context(), `INSERT INTO inventory (sku, name, price_minor, currency) VALUES ('bench', 'A product', 500, 'USD')`)
			require.NoError(b, err)
			var ids atomic.Int64
			app.Configure(w.App, func(c *app.Config) { c.NewID = func() string { return fmt.Sprintf("bench-%d", ids.Add(1)) } })
			order := domain.Placement{UserID: "u", Lines: []domain.Line{{SKU: "bench", Quantity: 1}}}
			left := atomic.Int64{}
			left.Store(int64(b.N))
			b.ResetTimer()
			done := make(chan error, clients)
			for range clients {
				go func() {
					var failed error
					for failed == nil && left.Add(-1) >= 0 {
						_, failed = w.PlaceOrder(context.WithoutCancel(b.Context()), order, nil, func(app.Placed) (app.Answer, error) { return app.Answer{}, nil })
					}
					done <- failed
				}()
			}
			for range clients {
				require.NoError(b, <-done)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
		})
	}
}
