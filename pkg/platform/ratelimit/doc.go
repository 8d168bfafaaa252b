// Package ratelimit bounds what one caller may ask of an HTTP API, so that one caller cannot use up what all of them share. The
// caller is the user of the login, else the client's address.
//
//	limits := ratelimit.New(proxies, registry, time.Now)
//	api.UseMiddleware(limits.Middleware(func(ctx huma.Context) []*ratelimit.Limit { ... }))
//
// A request above a limit is answered 429 with Retry-After, and nothing was begun. Every answer under a limit says what is left,
// in the headers RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers). Each replica counts for itself.
package ratelimit
