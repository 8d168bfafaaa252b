package httpapi

import (
	"mime"
	"strconv"
	"strings"
)

const eventStream = "text/event-stream"

// wantsStream reads an Accept header for what can be had as JSON or as a stream of events. JSON is what everybody gets
// who does not name the stream, or likes JSON better. ok is false when the client takes neither.
func wantsStream(accept string) (stream, ok bool) {
	if strings.TrimSpace(accept) == "" {
		return false, true
	}
	var events, json float64
	specific := -1 // how exactly json was named so far: the most exact range counts
	for _, part := range strings.Split(accept, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q := 1.0
		if given, is := params["q"]; is {
			if q, err = strconv.ParseFloat(given, 64); err != nil {
				continue
			}
		}
		exact := map[string]int{"*/*": 0, "application/*": 1, "application/json": 2}
		if media == eventStream {
			events = q
		} else if n, is := exact[media]; is && n > specific {
			json, specific = q, n
		}
	}
	stream = events > 0 && events >= json
	return stream, stream || json > 0
}
