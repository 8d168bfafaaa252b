package httpx

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// The id "/" is %2F in an address. net/http's mux (Go 1.22 to 1.26) takes that segment for the end of the path, and no
// wildcard matches it. marked therefore puts a NUL, which no id contains, behind such a slash; the mux then matches it, and
// unslashed removes the NUL before the operation reads the parameter.
const (
	slashSegment  = "%2F"
	markedSegment = "%2F%00"
	markedValue   = "/\x00"
)

// marked returns a copy of the request with each segment %2F marked, or the request itself when it has no such segment.
func marked(r *http.Request) *http.Request {
	if r.URL.RawPath == "" { // the address has no escape that matters
		return r
	}
	segments, found := strings.Split(r.URL.EscapedPath(), "/"), false
	for i, s := range segments {
		if strings.EqualFold(s, slashSegment) {
			segments[i], found = markedSegment, true
		}
	}
	raw := strings.Join(segments, "/")
	path, err := url.PathUnescape(raw)
	if !found || err != nil {
		return r
	}
	return WithPath(r, path, raw)
}

// WithPath returns a copy of the request with another path; the request itself stays as it was. raw is the escaped form of path.
func WithPath(r *http.Request, path, raw string) *http.Request {
	u := *r.URL
	u.Path, u.RawPath = path, raw
	out := r.WithContext(r.Context())
	out.URL = &u
	return out
}

// unslashed is the middleware of operations that removes the marks. It restores the id "/" in every path parameter, so no
// operation ever reads a mark.
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
