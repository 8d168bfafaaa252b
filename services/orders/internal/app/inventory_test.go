package app_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/domain"
)

// inventoryChanged is the event of product "tutu" at a version.
func inventoryChanged(name string, price, stocked, version int64) messages.Message {
	return messages.Message{ID: messages.ID("tutu", "inventory_changed", string(rune('0'+version))),
		Event: messages.InventoryChanged{SKU: "tutu", Name: name, Price: usd(price), Stocked: stocked, Version: version}}
}

func answered(domain.Product) (app.Answer, error) { return app.Answer{Status: 200}, nil }

func TestEachChangeOfAProductIsPublished(t *testing.T) {
	t.Parallel()
	w := setup(t)
	put := func(name string, price int64) {
		_, _, err := w.PutProduct(t.Context(), "tutu", name, usd(price))
		require.NoError(t, err)
	}
	put("Tutu", 1990)
	says(t, w.took(), inventoryChanged("Tutu", 1990, 0, 0))
	key := &app.Idempotency{Key: "k", RequestHash: []byte("h")}
	for range 2 { // the repetition adds nothing
		_, _, err := w.Restock(t.Context(), "tutu", 3, key, answered)
		require.NoError(t, err)
	}
	says(t, w.took(), inventoryChanged("Tutu", 1990, 3, 1))

	// Orders that take pieces raise the version, and publish no event of the product.
	o := of("tutu", 1)
	says(t, deliver(w, w.OnOrderPlaced, o), msg("reserve", messages.PaymentRequested{OrderID: "o", UserID: "u", Amount: usd(1990), Step: "order_placed",
		Items: []messages.Item{{SKU: "tutu", Quantity: 1, UnitPrice: &messages.Money{Minor: 1990, Currency: "USD"}}}}))
	require.Empty(t, w.took())
	put("Tutu, white", 2990)
	says(t, w.took(), inventoryChanged("Tutu, white", 2990, 3, 3))
	w.pieces("tutu", 2, 1, 0)
}

// Neither is there without the other, also when the commit itself is refused.
func TestAChangeOfAProductAndItsEventAreOne(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.product("tutu", 1990, 3)
	testkit.Admin(t, w.db, `
CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
CREATE CONSTRAINT TRIGGER no_event AFTER INSERT ON outbox DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION no()`)
	before := w.dump()
	_, _, err := w.PutProduct(t.Context(), "tutu", "Tutu, white", usd(1))
	require.ErrorContains(t, err, "refused")
	_, _, err = w.PutProduct(t.Context(), "shoes", "Shoes", usd(1))
	require.ErrorContains(t, err, "refused")
	_, _, err = w.Restock(t.Context(), "tutu", 5, nil, answered)
	require.ErrorContains(t, err, "refused")
	unmade := errors.New("no answer")
	_, _, err = w.Restock(t.Context(), "tutu", 5, nil, func(domain.Product) (app.Answer, error) { return app.Answer{}, unmade })
	require.ErrorIs(t, err, unmade)
	require.Equal(t, before, w.dump())
	require.Empty(t, w.took())
	outbox := 0
	require.NoError(t, w.db.QueryRow(t.Context(), `SELECT count(*) FROM outbox`).Scan(&outbox))
	require.Zero(t, outbox)
}

// A fresh system publishes nothing. A product that an earlier version, or a hand, made or changed is published once.
func TestAProductWithoutAnEventIsAnnouncedOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.Zero(t, w.sweep(w.AnnounceProducts))
	_, err := w.db.Exec(t.Context(), `INSERT INTO inventory (sku, name, price_minor, currency, available, stocked, version)
VALUES ('tutu', 'Tutu', 1990, 'USD', 7, 7, 4), ('long', repeat('n', 201), 1, 'USD', 0, 0, 0)`)
	require.NoError(t, err)
	require.Equal(t, 2, w.sweep(w.AnnounceProducts))
	says(t, w.took(), inventoryChanged("Tutu", 1990, 7, 5)) // the other one is against the contract: it is logged
	require.Zero(t, w.sweep(w.AnnounceProducts))
	require.Empty(t, w.took())

	// It can be restocked all the same, and is published when a change makes it good.
	_, _, err = w.Restock(t.Context(), "long", 3, nil, answered)
	require.NoError(t, err)
	require.Empty(t, w.took())
	w.pieces("long", 3, 0, 0)
	_, _, err = w.PutProduct(t.Context(), "long", "Long", usd(1))
	require.NoError(t, err)
	require.Len(t, w.took(), 1)
}
