package simulate

import (
	"fmt"
	"math/rand/v2"
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// The events of a session.
const (
	pageView       = "page_view"
	productView    = "product_view"
	search         = "search"
	addToCart      = "add_to_cart"
	removeFromCart = "remove_from_cart"
	checkout       = "checkout"
)

const (
	// maxSession is how long a session takes at most.
	maxSession = 20 * time.Second
	// think is the average time that a shopper spends on a page.
	think = time.Second
	// maxCancel is the longest time from an order to its cancellation.
	maxCancel = 2 * time.Second
	// maxPieces is how many pieces one line may have.
	maxPieces = 1000
)

// event is one action of a shopper, and becomes one record on the topic.
type event struct {
	name   string
	at     time.Duration // in the run
	page   string
	sku    string         // "" = none
	amount messages.Money // of no currency = none
}

// purchase is the order with which a session ends.
type purchase struct {
	items  []client.NewItem
	method string // "" = the usual card
	// cancelAfter is how long after it was taken the order is called off; 0 = never.
	cancelAfter time.Duration
}

// session is one visit of one shopper.
type session struct {
	number uint64
	user   string
	events []event   // never empty; the last one is the checkout when there is an order
	order  *purchase // nil = nothing was bought
}

type line struct {
	product  product
	quantity int
	cost     messages.Money
}

// visit is a session in the making. Each has random numbers of its own.
type visit struct {
	traffic Traffic
	random  *rand.Rand
	session *session
	cart    []line
	total   messages.Money
}

// session makes the session of this number, which ends at a moment of the run. Other sessions have no influence on it,
// since its random numbers come from the seed and the number alone.
func (t Traffic) session(number uint64, end time.Duration, shop catalogue) *session {
	v := &visit{traffic: t, random: rand.New(rand.NewPCG(t.Seed, number)), session: &session{number: number}}
	v.session.user = fmt.Sprintf("shopper-%d", 1+v.random.IntN(t.Users))
	buys, large := v.chance(t.Buy), v.chance(t.OverLimit)
	v.note(pageView, "/")
	for range 1 + v.random.IntN(4) {
		v.browse(shop.pick(v.random))
	}
	if buys {
		v.buy(shop, large)
	}
	v.spread(end)
	return v.session
}

func (v *visit) chance(share float64) bool { return v.random.Float64() < share }

func (v *visit) note(name, page string) {
	v.session.events = append(v.session.events, event{name: name, page: page})
}

func (v *visit) noteProduct(name string, p product, amount messages.Money) {
	v.session.events = append(v.session.events, event{name: name, page: "/products/" + p.sku, sku: p.sku, amount: amount})
}

// browse views a product, perhaps after a search. The shopper may add it to the cart, and may then remove a line.
func (v *visit) browse(p product) {
	switch {
	case v.chance(0.3):
		v.note(search, "/search")
	case v.chance(0.2):
		v.note(pageView, "/products")
	}
	v.noteProduct(productView, p, messages.Money{})
	if v.chance(0.5) {
		quantity := 1
		if v.chance(0.2) {
			quantity = 2 + v.random.IntN(2)
		}
		v.add(p, quantity)
	}
	if len(v.cart) > 0 && v.chance(0.1) {
		v.remove(v.random.IntN(len(v.cart)))
	}
}

// add puts pieces into the cart. It does not if the cart would then have two currencies, one product twice, or cost
// more than the fraud limit: only orders that are meant to exceed the limit do.
func (v *visit) add(p product, quantity int) bool {
	cost, err := p.price.Mul(quantity)
	if err != nil {
		return false
	}
	total := cost
	if len(v.cart) > 0 {
		if total, err = v.total.Add(cost); err != nil {
			return false
		}
	}
	for _, l := range v.cart {
		if l.product.sku == p.sku {
			return false
		}
	}
	if v.over(total) {
		return false
	}
	v.take(line{p, quantity, cost}, total)
	return true
}

func (v *visit) take(l line, total messages.Money) {
	v.cart, v.total = append(v.cart, l), total
	v.noteProduct(addToCart, l.product, l.cost)
}

func (v *visit) remove(n int) {
	gone := v.cart[n]
	v.cart = append(v.cart[:n], v.cart[n+1:]...)
	v.total.Minor -= gone.cost.Minor
	v.session.events = append(v.session.events, event{name: removeFromCart, page: "/cart", sku: gone.product.sku, amount: gone.cost})
}

// over reports whether an amount is suspected of fraud.
func (v *visit) over(amount messages.Money) bool {
	limit, err := messages.ParseMoney(fmt.Sprint(v.traffic.FraudLimit), amount.Currency)
	return err == nil && amount.Minor > limit.Minor
}

// enough returns how many pieces of a product cost more than the fraud limit, but no more than a line may have.
func (v *visit) enough(p product) int {
	limit, err := messages.ParseMoney(fmt.Sprint(v.traffic.FraudLimit), p.price.Currency)
	if err != nil {
		return 1
	}
	return int(min(limit.Minor/p.price.Minor+1, maxPieces))
}

// buy ends the session with a checkout of the cart. An empty cart gets the cheapest product that fits. A large order
// has one product, and enough pieces of it to cost more than the fraud limit. Without any product that fits, the
// session ends without an order.
func (v *visit) buy(shop catalogue, large bool) {
	for large && len(v.cart) > 0 {
		v.remove(len(v.cart) - 1)
	}
	if p := shop.pick(v.random); large {
		quantity := v.enough(p)
		if cost, err := p.price.Mul(quantity); err == nil {
			v.noteProduct(productView, p, messages.Money{})
			v.take(line{p, quantity, cost}, cost)
		}
	}
	for rank := 0; len(v.cart) == 0; rank++ {
		if rank == len(shop.products) {
			return // everything costs more than the limit
		}
		if v.add(shop.products[rank], 1) {
			break
		}
	}
	v.session.events = append(v.session.events, event{name: checkout, page: "/checkout", amount: v.total})
	order := &purchase{}
	for _, l := range v.cart {
		order.items = append(order.items, client.NewItem{SKU: l.product.sku, Quantity: l.quantity})
	}
	switch {
	case v.chance(v.traffic.Declined / 2):
		order.method = "pm_card_chargeDeclined"
	case v.chance(v.traffic.Declined / 2 / (1 - v.traffic.Declined/2)):
		order.method = "pm_card_chargeDeclinedInsufficientFunds"
	}
	if v.chance(v.traffic.Cancelled) {
		order.cancelAfter = 1 + time.Duration(v.random.Int64N(int64(maxCancel)))
	}
	v.session.order = order
}

// spread gives the events their moments: the last one is at the end, and the first one is not before the run.
func (v *visit) spread(end time.Duration) {
	events := v.session.events
	since := make([]time.Duration, len(events)) // since the first one
	for i := 1; i < len(events); i++ {
		since[i] = since[i-1] + time.Duration(v.random.ExpFloat64()*float64(think))
	}
	took, room := since[len(since)-1], maxSession
	if end < took { // it would begin before the run: it begins at a random moment of the run instead
		room = time.Duration(v.random.Float64() * float64(min(end, maxSession)))
	}
	if took > room {
		for i := range since {
			since[i] = time.Duration(float64(since[i]) / float64(took) * float64(room))
		}
	}
	for i := range events {
		events[i].at = end - (since[len(since)-1] - since[i])
	}
}
