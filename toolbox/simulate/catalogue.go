package simulate

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/hint"
)

// ErrNothingToBuy means that the catalogue has no product with a price above 0.
var ErrNothingToBuy = hint.Add(errors.New("the catalogue has no product with a price"),
	"add one with `pas inventory put` and `pas inventory restock`")

// popularity is the exponent of Zipf's law: the product of rank n is bought 1/n^popularity times as often as the first.
const popularity = 1.1

type product struct {
	sku   string
	price messages.Money
}

// catalogue is the list of products that can be bought, most popular first: cheap products are bought more often. Stock
// does not matter, because the same seed would otherwise give other traffic in the second run. It never changes after
// its making.
type catalogue struct {
	products []product
	upTo     []float64 // the share of all picks that this rank and those above have
}

// newCatalogue ranks the products. Its only error is ErrNothingToBuy: a product without a usable price is left out.
func newCatalogue(stocks []client.Stock) (catalogue, error) {
	var c catalogue
	for _, s := range stocks {
		price, err := messages.ParseMoney(s.Price.String(), s.Currency)
		if err == nil && price.Minor > 0 {
			c.products = append(c.products, product{s.SKU, price})
		}
	}
	if len(c.products) == 0 {
		return c, ErrNothingToBuy
	}
	slices.SortFunc(c.products, func(a, b product) int {
		return cmp.Or(cmp.Compare(a.price.Minor, b.price.Minor), cmp.Compare(a.sku, b.sku))
	})
	sum := 0.0
	for rank := range c.products {
		sum += math.Pow(float64(rank+1), -popularity)
		c.upTo = append(c.upTo, sum)
	}
	for rank := range c.upTo {
		c.upTo[rank] /= sum
	}
	return c, nil
}

// pick returns a product, popular ones more often.
func (c catalogue) pick(random *rand.Rand) product {
	return c.products[min(sort.SearchFloat64s(c.upTo, random.Float64()), len(c.products)-1)]
}
