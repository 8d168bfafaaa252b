//go:build rebuild

package rebuild

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/e2e/purchase"
	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// order places an order and waits for its status.
func (w *world) order(id, sku, status string) {
	w.t.Helper()
	o := client.NewOrder{OrderID: id, UserID: "u-" + id, Total: purchase.Price(500)}
	if sku != "" {
		o.Items, o.Total = []client.NewItem{{SKU: sku, Quantity: 1}}, ""
	}
	_, _, err := w.api.Place(w.ctx, o, client.PlaceOptions{})
	require.NoError(w.t, err)
	w.awaitStatus(id, status)
}

func (w *world) awaitStatus(id, status string) {
	w.t.Helper()
	w.until(readyLimit, id+" is "+status, func() error {
		o, err := w.api.Order(w.ctx, id, time.Second)
		if err == nil && o.Status != status {
			err = fmt.Errorf("it is %s", o.Status)
		}
		return err
	})
}

// forget puts orders back to the backup, makes it again from the topics, and has the services go on. All must be as it was.
func (w *world) forget(b *backup) {
	w.t.Helper()
	w.settle()
	products := w.products()
	w.end(syscall.SIGTERM)
	before := w.look(products)
	w.putBack(b)
	w.rebuildKilled(b.schema)
	w.start()
	w.settle()
	v := judge(before, w.look(w.products()))
	v.Problems = append(v.Problems, w.audited()...)
	require.Empty(w.t, v.Problems, strings.Join(v.Problems, "\n"))
	require.Empty(w.t, v.Unknown, "all had reached Kafka")
}

// scarceStock: six products have one piece each, which one customer got and another did not. The partitions of the topic are read in another
// order than the first time, so who asks first is no longer known. What both were told is.
func scarceStock(w *world) {
	w.start()
	const products = 6
	sku := func(n int) string { return fmt.Sprintf("last-%d", n) }
	for n := range products {
		_, err := w.api.PutProduct(w.ctx, sku(n), client.Product{Name: sku(n), Price: purchase.Price(1000)})
		require.NoError(w.t, err)
		_, err = w.api.Restock(w.ctx, sku(n), 1)
		require.NoError(w.t, err)
	}
	before := w.backup(client.Orders)
	for n := range products {
		w.order(fmt.Sprintf("win%d", n), sku(n), messages.KindConfirmed)
		w.order(fmt.Sprintf("lose%d", n), sku(n), messages.KindRejected)
	}
	w.forget(before)
}

// calledOff: what a user cancels and what a timer ends has no message that led to it. The database was copied before and after the orders
// were placed.
func calledOff(w *world) {
	w.start()
	for _, id := range []string{"a", "b"} {
		w.order(id, "", messages.KindConfirmed)
	}
	before := w.backup(client.Orders)
	w.order("g", "", messages.KindConfirmed)
	for _, id := range []string{"a", "g"} {
		_, err := w.api.Cancel(w.ctx, id)
		require.NoError(w.t, err)
		w.awaitStatus(id, messages.KindCancelled)
	}
	payments := w.running[client.Payments].PID()
	require.NoError(w.t, syscall.Kill(payments, syscall.SIGSTOP))
	o := client.NewOrder{OrderID: "late", UserID: "u-late", Total: purchase.Price(500)}
	_, _, err := w.api.Place(w.ctx, o, client.PlaceOptions{})
	require.NoError(w.t, err)
	w.until(readyLimit, "the order is called off", func() error {
		o, err := w.api.Order(w.ctx, "late", 0)
		if err == nil && o.Status != "cancelling" {
			err = fmt.Errorf("it is %s", o.Status)
		}
		return err
	})
	require.NoError(w.t, syscall.Kill(payments, syscall.SIGCONT))
	w.awaitStatus("late", messages.KindFailed)
	w.forget(before)
}
