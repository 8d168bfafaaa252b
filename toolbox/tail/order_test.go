package tail

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
)

// A sku may be the same text as an order's id. Only the messages about the order are the order's.
func TestAProductIsNoOrderOfItsName(t *testing.T) {
	t.Parallel()
	const id = "ord-1001"
	for _, typ := range messages.Registry() {
		event := typ.Example
		if product, ok := event.(messages.InventoryChanged); ok {
			product.SKU = id
			event = product
		}
		r, err := messages.Message{ID: "m", Event: event}.Record()
		require.NoError(t, err)
		require.Equal(t, id, string(r.Key), typ.Name)
		reading, err := messages.Read(r)
		require.NoError(t, err)
		about := Filter{Order: id}.matches(&kgo.Record{Key: r.Key, Value: r.Value}, reading, true)
		require.Equal(t, typ.Name != messages.EventInventoryChanged, about, typ.Name)
	}
	require.True(t, Filter{Order: id}.matches(&kgo.Record{Key: []byte(id)}, messages.Reading{}, true), "another producer's message may have only the key")
}
