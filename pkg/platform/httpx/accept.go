package httpx

import (
	"mime"
	"strconv"
	"strings"
)

// Negotiate returns the offered media type that an Accept header prefers, or "" when the header accepts no offer. The first of
// equal offers wins, so the caller lists its own preference first.
func Negotiate(header string, offers ...string) string {
	best, bestQuality := "", 0.0
	for _, offer := range offers {
		if q, _ := Quality(header, offer); q > bestQuality {
			best, bestQuality = offer, q
		}
	}
	return best
}

// Quality returns how much an Accept header prefers a media type, from 0 (not acceptable) to 1. The most specific range that
// includes the type decides, as RFC 9110 says; named reports that this range is the type itself. An empty header accepts
// everything. Parts of the header that are malformed are ignored.
func Quality(header, media string) (q float64, named bool) {
	if strings.TrimSpace(header) == "" {
		return 1, false
	}
	major, _, _ := strings.Cut(media, "/")
	ranges := []string{"*/*", major + "/*", media}
	specificity := -1
	for part := range strings.SplitSeq(header, ",") {
		name, params, err := mime.ParseMediaType(part)
		given := 1.0
		if text, ok := params["q"]; ok && err == nil {
			given, err = strconv.ParseFloat(text, 64)
		}
		for n := specificity + 1; n < len(ranges) && err == nil; n++ {
			if name == ranges[n] {
				q, specificity = min(max(given, 0), 1), n
			}
		}
	}
	return q, specificity == 2
}
