//go:build rebuild

package rebuild

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/e2e/purchase"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/wait"
	"pasdetrois/toolbox/client"
)

const (
	shoppers       = 6
	rareProducts   = 24
	paymentTimeout = 3 * time.Second
	// standstill is how long payments stands still once: longer than an order waits, so some are paid too late.
	standstill = 5 * time.Second
)

func rare(n int) string { return fmt.Sprintf("rare-%02d", n) }

// stock puts the goods on the shelf: some that last, and some of which there are one to three.
func (w *world) stock() {
	w.t.Helper()
	put := func(sku string, minor, pieces int64) {
		_, err := w.api.PutProduct(w.ctx, sku, client.Product{Name: sku, Price: purchase.Price(minor)})
		require.NoError(w.t, err)
		_, err = w.api.Restock(w.ctx, sku, pieces)
		require.NoError(w.t, err)
	}
	for _, p := range purchase.Products() {
		put(p.SKU, p.PriceMinor, p.Stock)
	}
	for n := range rareProducts {
		put(rare(n), 1000+int64(w.rng.IntN(2000)), 1+int64(w.rng.IntN(3)))
	}
}

// work runs the load until ctx ends: customers, a shopkeeper, a producer of another maker, and payments that stands still once.
func (w *world) work(ctx context.Context, until time.Duration) {
	seed := w.rng.Uint64()
	still := time.Duration(w.rng.Int64N(int64(until / 2)))
	payments := w.running[client.Payments].PID()
	var all sync.WaitGroup
	for n := range shoppers {
		all.Go(func() { w.shop(ctx, rand.New(rand.NewPCG(seed, uint64(n))), fmt.Sprintf("s%d-%x", n, seed&0xffff)) })
	}
	all.Go(func() { w.keepShop(ctx, rand.New(rand.NewPCG(seed, 100))) })
	all.Go(func() { w.produce(ctx, rand.New(rand.NewPCG(seed, 101)), fmt.Sprintf("f-%x", seed&0xffff)) })
	all.Go(func() {
		if wait.Sleep(ctx, still) {
			_ = syscall.Kill(payments, syscall.SIGSTOP)
			wait.Sleep(ctx, standstill)
			_ = syscall.Kill(payments, syscall.SIGCONT)
		}
	})
	all.Wait()
}

// shop places orders, and cancels some of them at once, later, or after they were confirmed. A service that is gone ends it.
func (w *world) shop(ctx context.Context, rng *rand.Rand, name string) {
	for i := 0; ctx.Err() == nil; i++ {
		p := purchase.Wish(rng, fmt.Sprintf("%s-%04d", name, i))
		o := p.Order()
		if rng.IntN(100) < 40 {
			o.Items, o.Total = []client.NewItem{{SKU: rare(rng.IntN(rareProducts)), Quantity: 1 + rng.IntN(2)}}, ""
		}
		if _, _, err := w.api.Place(ctx, o, client.PlaceOptions{IdempotencyKey: "place-" + o.OrderID}); refused(err) {
			continue
		} else if err != nil {
			return
		}
		patience := time.Duration(rng.IntN(400)) * time.Millisecond
		if rng.IntN(100) < 20 {
			_, _ = w.api.Order(ctx, o.OrderID, patience)
			_, _ = w.api.Cancel(ctx, o.OrderID) // it may be too late
		} else if rng.IntN(2) == 0 {
			_, _ = w.api.Order(ctx, o.OrderID, patience)
		}
	}
}

func refused(err error) bool {
	status := client.StatusOf(err)
	return err != nil && status >= http.StatusBadRequest && status < http.StatusInternalServerError
}

// keepShop restocks and changes prices.
func (w *world) keepShop(ctx context.Context, rng *rand.Rand) {
	for wait.Sleep(ctx, time.Duration(50+rng.IntN(300))*time.Millisecond) {
		sku := rare(rng.IntN(rareProducts))
		if rng.IntN(3) == 0 {
			_, _ = w.api.PutProduct(ctx, sku, client.Product{Name: sku, Price: purchase.Price(1000 + int64(rng.IntN(2000)))})
		} else {
			_, _ = w.api.Restock(ctx, sku, 1)
		}
	}
}

// produce writes orders as a program of another maker does: no key, no headers, no event.
func (w *world) produce(ctx context.Context, rng *rand.Rand, name string) {
	writer, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Brokers...))
	if err != nil {
		return
	}
	defer writer.Close()
	for i := 0; wait.Sleep(ctx, time.Duration(rng.IntN(200))*time.Millisecond); i++ {
		body := fmt.Sprintf(`{"order_id":"%s-%04d","user_id":"stranger","total":%d.50}`, name, i, 1+rng.IntN(100))
		err := writer.ProduceSync(ctx, &kgo.Record{Topic: w.kafka.Prefix + messages.TopicOrders, Value: []byte(body)}).FirstErr()
		if err != nil && !errors.Is(err, context.Canceled) {
			w.t.Errorf("write an order to Kafka: %v", err)
			return
		}
	}
}
