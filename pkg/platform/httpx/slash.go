package httpx

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// The id "/" stands in an address as %2F. net/http's mux (Go 1.22 to 1.26) takes that segment for the end of the path, and
// no wildcard matches it. slashes hands the mux a segment with a NUL behind the slash, which stands in no id, and
// unslashed takes the NUL away again before the operation reads the parameter.
const (
	slashSegment  = "%2F"
	markedSegment = "%2F%00"
	markedValue   = "/\x00"
)

func slashes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawPath != "" { // only then the address has an escape that matters
			r = marked(r)
		}
		next.ServeHTTP(w, r)
	})
}

// marked returns the request with each segment %2F marked. A request without one is returned as it is.
func marked(r *http.Request) *http.Request {
	segments, found := strings.Split(r.URL.EscapedPath(), "/"), false
	for i, s := range segments {
		if strings.EqualFold(s, slashSegment) {
			segments[i], found = markedSegment, true
		}
	}
	if !found {
		return r
	}
	raw := strings.Join(segments, "/")
	path, err := url.PathUnescape(raw)
	if err != nil {
		return r
	}
	u := *r.URL
	u.Path, u.RawPath = path, raw
	out := r.WithContext(r.Context())
	out.URL = &u
	return out
}

// unslashed is a middleware of operations.
func unslashed(ctx huma.Context, next func(huma.Context)) {
	if r, _ := humago.Unwrap(ctx); strings.Contains(r.URL.Path, markedValue) {
		for _, p := range ctx.Operation().Parameters {
			if p.In == "path" && r.PathValue(p.Name) == markedValue {
				r.SetPathValue(p.Name, "/")
			}
		}
	}
	next(ctx)
}
