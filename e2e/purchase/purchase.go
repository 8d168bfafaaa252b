// Package purchase makes up orders for simulated customers, and knows how each of them may end.
package purchase

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// Purchase is an order that a customer asked for, and what the customer asked for later.
type Purchase struct {
	ID, User, Email string
	SKU             string // "" = an order with a plain total
	Quantity        int
	TotalMinor      int64
	Method          string
	Cancelled       bool // its cancelling was accepted
}

// The reasons and limits of the services' defaults.
const (
	FraudLimitMinor = 900_00
	CardVisa        = "pm_card_visa"
	CardDeclined    = "pm_card_chargeDeclined"
	CardNoFunds     = "pm_card_chargeDeclinedInsufficientFunds"
	cardFlaky       = "pm_card_flaky" // works at the third attempt
	Scarce          = "crash-scarce"  // the product that may run out
)

// Outcomes returns how a purchase may end, as "status reason": one way, unless the shelf may be empty.
func (p Purchase) Outcomes() []string {
	switch {
	case p.Cancelled:
		return []string{"cancelled cancelled_by_user"}
	case p.TotalMinor > FraudLimitMinor:
		return []string{"failed suspected_fraud"}
	case p.Method == CardDeclined:
		return []string{"failed card_declined"}
	case p.Method == CardNoFunds:
		return []string{"failed insufficient_funds"}
	case p.SKU == Scarce:
		return []string{"confirmed ", "rejected out_of_stock"}
	default:
		return []string{"confirmed "}
	}
}

// Product is one kind of goods. Orders with a plain total need none.
type Product struct {
	SKU        string
	PriceMinor int64
	Stock      int64
}

// Products returns every product, the scarce one last.
func Products() []Product {
	return []Product{{"crash-brush", 12_90, 1_000_000}, {"crash-vinyl", 49_99, 1_000_000}, {"crash-needle", 7_05, 1_000_000},
		{Scarce, 19_99, 40}}
}

// Price writes an amount as the API does.
func Price(minor int64) json.Number {
	return json.Number(messages.Money{Minor: minor, Currency: messages.DefaultCurrency}.Decimal())
}

const users = 20

// Wish makes a purchase up.
func Wish(rng *rand.Rand, id string) Purchase {
	user := fmt.Sprintf("user-%d", rng.IntN(users))
	p := Purchase{ID: id, User: user, Email: user + "@example.com", Method: CardVisa}
	all := Products()
	take := func(from Product) {
		p.SKU, p.Quantity = from.SKU, 1+rng.IntN(3)
		p.TotalMinor = from.PriceMinor * int64(p.Quantity)
	}
	switch luck := rng.IntN(100); {
	case luck < 10:
		take(all[len(all)-1])
		return p
	case luck < 13:
		p.TotalMinor = FraudLimitMinor + 1 + int64(rng.IntN(500_00))
		return p
	case luck < 30:
		p.TotalMinor = 1 + int64(rng.IntN(200_00))
	default:
		take(all[rng.IntN(len(all)-1)])
	}
	switch luck := rng.IntN(100); {
	case luck < 12:
		p.Method = CardDeclined
	case luck < 18:
		p.Method = CardNoFunds
	case luck < 21:
		p.Method = cardFlaky
	}
	return p
}

// Order is the request body of the purchase.
func (p Purchase) Order() client.NewOrder {
	order := client.NewOrder{OrderID: p.ID, UserID: p.User, Email: p.Email, PaymentMethod: p.Method}
	if p.SKU == "" {
		order.Total = Price(p.TotalMinor)
	} else {
		order.Items = []client.NewItem{{SKU: p.SKU, Quantity: p.Quantity}}
	}
	return order
}
