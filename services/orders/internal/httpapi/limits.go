package httpapi

import (
	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/platform/ratelimit"
)

// Rates says how much one caller may ask for; 0 = no limit.
type Rates struct {
	Orders  int // a second; two and a half times as many at once
	Streams int // open at a time
	Waits   int // requests with ?wait= at a time
}

// limits are the limits of Rates, each nil when there is none.
type limits struct {
	apply                  *ratelimit.Limits
	orders, streams, waits *ratelimit.Limit
}

// WithRates limits what one caller may ask for. Call it before Register.
func (a *API) WithRates(rates Rates, apply *ratelimit.Limits) *API {
	a.limits.apply = apply
	if rates.Orders > 0 {
		a.limits.orders = ratelimit.PerSecond("orders", rates.Orders, (5*rates.Orders+1)/2)
	}
	if rates.Streams > 0 {
		a.limits.streams = ratelimit.AtOnce("streams", rates.Streams)
	}
	if rates.Waits > 0 {
		a.limits.waits = ratelimit.AtOnce("waits", rates.Waits)
	}
	return a
}

// register applies the limits to the operations that are registered after it.
func (l limits) register(api huma.API) {
	if l.apply != nil {
		api.UseMiddleware(l.apply.Middleware(l.of))
	}
}

// of returns the limits under which a request counts. The bounds of requests in work come first: a request that they refuse must
// not use up the rate.
func (l limits) of(ctx huma.Context) (all []*ratelimit.Limit) {
	add := func(limit *ratelimit.Limit, applies bool) {
		if limit != nil && applies {
			all = append(all, limit)
		}
	}
	operation := ctx.Operation().OperationID
	streaming, _ := wantsStream(ctx.Header("Accept"))
	add(l.streams, operation == followOrder && streaming)
	add(l.waits, (operation == placeOrder || operation == getOrder) && ctx.Query("wait") != "")
	add(l.orders, operation == placeOrder)
	return all
}
