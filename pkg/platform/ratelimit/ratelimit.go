package ratelimit

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
)

// Limits applies limits to the requests of an API. Safe for concurrent use.
type Limits struct {
	proxies Proxies
	refused *prometheus.CounterVec
	now     func() time.Time
}

// New returns Limits. It registers its metric with reg, and panics when that is registered there already.
func New(proxies Proxies, reg prometheus.Registerer, now func() time.Time) *Limits {
	l := &Limits{proxies: proxies, now: now, refused: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pasdetrois_http_rate_limited_total", Help: "Requests answered 429 because their caller was above a limit, by limit."}, []string{"limit"})}
	reg.MustRegister(l.refused)
	return l
}

// Middleware applies to each request the limits that of names. It must come after the login, which says who the caller is.
func (l *Limits) Middleware(of func(huma.Context) []*Limit) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		limits := of(ctx)
		if len(limits) == 0 {
			next(ctx)
			return
		}
		r, _ := humago.Unwrap(ctx)
		caller, now := l.proxies.caller(r), l.now()
		var policies, states []string
		for _, limit := range limits {
			got := limit.take(caller, now)
			if got.release != nil {
				defer got.release()
			}
			policies, states = append(policies, limit.policy), append(states, got.state(limit.name))
			if !got.ok {
				l.refused.WithLabelValues(limit.name).Inc()
				headers(ctx, policies, states)
				refuse(ctx, limit.name, got.after)
				return
			}
		}
		headers(ctx, policies, states)
		next(ctx)
	}
}

// state is the item of the header RateLimit.
func (t taken) state(name string) string {
	text := fmt.Sprintf("%q;r=%d", name, t.left)
	if t.whole > 0 {
		text += ";t=" + strconv.Itoa(seconds(t.whole))
	}
	return text
}

func headers(ctx huma.Context, policies, states []string) {
	ctx.SetHeader("RateLimit-Policy", strings.Join(policies, ", "))
	ctx.SetHeader("RateLimit", strings.Join(states, ", "))
}

// exceeded is the problem that the draft defines for a request above a quota.
type exceeded struct {
	huma.ErrorModel
	Violated []string `json:"violated-policies"`
}

func refuse(ctx huma.Context, limit string, after time.Duration) {
	ctx.SetHeader("Content-Type", "application/problem+json")
	ctx.SetHeader("Retry-After", strconv.Itoa(max(1, seconds(after))))
	ctx.SetStatus(http.StatusTooManyRequests)
	_ = json.NewEncoder(ctx.BodyWriter()).Encode(exceeded{Violated: []string{limit}, ErrorModel: huma.ErrorModel{ // the client may be gone
		Type: "https://iana.org/assignments/http-problem-types#quota-exceeded", Title: http.StatusText(http.StatusTooManyRequests),
		Status: http.StatusTooManyRequests, Detail: "this caller is above the limit of " + limit + ": nothing was begun; try again after Retry-After"}})
}
