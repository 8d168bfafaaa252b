package simulate

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func usual() Traffic {
	return Traffic{Seed: 7, Users: 50, Rate: 20, Duration: 100 * time.Second, Buy: 0.4,
		Declined: 0.1, OverLimit: 0.05, Cancelled: 0.08, FraudLimit: 900}
}

func records(t *testing.T) catalogue {
	t.Helper()
	shop, err := newCatalogue([]client.Stock{
		{SKU: "turntable", Price: "249.00", Currency: "USD"}, {SKU: "brush", Price: "12.90", Currency: "USD"},
		{SKU: "swan-lake", Price: "49.99", Currency: "USD"}, {SKU: "gift", Price: "0", Currency: "USD"},
		{SKU: "signature", Price: "1299", Currency: "USD"}, {SKU: "kimono", Price: "9000", Currency: "JPY"},
	})
	require.NoError(t, err)
	return shop
}

func all(traffic Traffic, shop catalogue) []step {
	var found []step
	p := newPlan(traffic, shop)
	for s, more := p.next(); more; s, more = p.next() {
		found = append(found, s)
	}
	return found
}

// told writes down all that a step says.
func told(list []step) []string {
	lines := make([]string, len(list))
	for i, s := range list {
		lines[i] = fmt.Sprint(s.at, s.session.number, s.session.user, s.event())
		if o := s.order(); o != nil {
			lines[i] += fmt.Sprint(*o)
		}
	}
	return lines
}

func TestTheSameSeedGivesTheSameTrafficAndAnotherOneOther(t *testing.T) {
	t.Parallel()
	first := told(all(usual(), records(t)))
	require.Equal(t, first, told(all(usual(), records(t))))
	other := usual()
	other.Seed++
	require.NotEqual(t, first, told(all(other, records(t))))
}

func TestStepsComeInTimeAndASessionInItsOrder(t *testing.T) {
	t.Parallel()
	last, numbers := time.Duration(0), map[uint64]int{}
	for _, s := range all(usual(), records(t)) {
		require.GreaterOrEqual(t, s.at, last)
		require.Less(t, s.at, usual().Duration)
		require.Equal(t, numbers[s.session.number], s.number)
		numbers[s.session.number]++
		last = s.at
		first, end := s.session.events[0].at, s.session.events[len(s.session.events)-1].at
		require.LessOrEqual(t, end-first, maxSession)
	}
}

func TestSharesOfTheTrafficAreAsAskedFor(t *testing.T) {
	t.Parallel()
	traffic := usual()
	traffic.Duration = 1000 * time.Second
	sessions, orders, declined, cancelled, over := map[uint64]bool{}, 0.0, 0.0, 0.0, 0.0
	users := map[string]bool{}
	for _, s := range all(traffic, records(t)) {
		sessions[s.session.number] = true
		users[s.session.user] = true
		o := s.order()
		if o == nil {
			continue
		}
		orders++
		if o.method != "" {
			declined++
		}
		if o.cancelAfter > 0 {
			require.LessOrEqual(t, o.cancelAfter, maxCancel)
			cancelled++
		}
		if s.event().amount.Currency == "USD" && s.event().amount.Minor > 900_00 {
			over++
		}
	}
	require.InDelta(t, 20_000, orders, 800)
	require.InDelta(t, 0.4, orders/float64(len(sessions)), 0.03)
	require.InDelta(t, 0.1, declined/orders, 0.02)
	require.InDelta(t, 0.08, cancelled/orders, 0.02)
	require.InDelta(t, 0.05, over/orders, 0.02)
	require.Len(t, users, 50)
}

// A cart is what was put in and not taken out again, and costs what the checkout says.
func TestAnOrderIsWhatTheSessionPutIntoItsCart(t *testing.T) {
	t.Parallel()
	shop := records(t)
	price := map[string]messages.Money{}
	for _, p := range shop.products {
		price[p.sku] = p.price
	}
	removed := 0
	for _, s := range all(usual(), shop) {
		o := s.order()
		if o == nil {
			continue
		}
		require.Equal(t, checkout, s.event().name)
		cart := map[string]messages.Money{}
		for _, e := range s.session.events {
			switch e.name {
			case addToCart:
				cart[e.sku] = e.amount
			case removeFromCart:
				require.Equal(t, cart[e.sku], e.amount)
				delete(cart, e.sku)
				removed++
			}
		}
		require.Len(t, o.items, len(cart))
		total := messages.Money{Currency: s.event().amount.Currency}
		for _, i := range o.items {
			cost, err := price[i.SKU].Mul(i.Quantity)
			require.NoError(t, err)
			require.Equal(t, cart[i.SKU], cost)
			total, err = total.Add(cost)
			require.NoError(t, err, "one currency")
		}
		require.Equal(t, total, s.event().amount)
	}
	require.NotZero(t, removed)
}

func TestPopularProductsAreBoughtMoreOften(t *testing.T) {
	t.Parallel()
	views := map[string]int{}
	for _, s := range all(usual(), records(t)) {
		if s.event().name == productView {
			views[s.event().sku]++
		}
	}
	require.Zero(t, views["gift"], "it has no price")
	require.Greater(t, views["brush"], views["swan-lake"])
	require.Greater(t, views["swan-lake"], views["turntable"])
	require.Greater(t, views["signature"], 0)
}

func TestTheDayHasAQuietNightAndABusyAfternoonAndTheRateOnTheAverage(t *testing.T) {
	t.Parallel()
	traffic := usual()
	traffic.Duration, traffic.Day = 960*time.Second, 480*time.Second
	hours := map[int]int{}
	orders := 0
	for _, s := range all(traffic, records(t)) {
		if s.order() != nil {
			hours[int(s.at%traffic.Day/(20*time.Second))]++
			orders++
		}
	}
	require.InDelta(t, 20*960, orders, 1000)
	require.Greater(t, hours[16], 4*hours[4])
	require.Greater(t, hours[16], hours[10])
}

func TestAShopWithoutPricesHasNothingToBuy(t *testing.T) {
	t.Parallel()
	_, err := newCatalogue([]client.Stock{{SKU: "gift", Price: "0", Currency: "USD"}})
	require.ErrorIs(t, err, ErrNothingToBuy)
}
