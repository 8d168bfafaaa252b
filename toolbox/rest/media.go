package rest

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	"pasdetrois/pkg/platform/httpx"
)

// The media types of the API.
const (
	mediaV2     = "application/vnd.kafka.v2+json"
	mediaJSON   = "application/vnd.kafka.json.v2+json"
	mediaBinary = "application/vnd.kafka.binary.v2+json"
	mediaPlain  = "application/json"
)

// format is the way in which keys and values are embedded in requests and answers: JSON as it is, or base64.
type format string

const (
	formatJSON   format = "json"
	formatBinary format = "binary"
)

func (f format) media() string { return "application/vnd.kafka." + string(f) + ".v2+json" }

// produceFormat returns the format that the request's content type names. A plain JSON or form type is rejected: it
// does not name the format, and a page in a browser may send it to any server without asking.
func produceFormat(r *http.Request) (format, error) {
	switch media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media {
	case mediaJSON:
		return formatJSON, nil
	case mediaBinary:
		return formatBinary, nil
	}
	return "", failed(http.StatusUnsupportedMediaType, "HTTP 415 Unsupported Media Type: send Content-Type: %s or %s", mediaJSON, mediaBinary)
}

// checkContentType rejects a body whose type is not the API's.
func checkContentType(r *http.Request) error {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if slices.Contains([]string{mediaV2, mediaJSON, mediaBinary}, media) {
		return nil
	}
	return failed(http.StatusUnsupportedMediaType, "HTTP 415 Unsupported Media Type: send Content-Type: %s", mediaV2)
}

// accepted returns the offered type that the client prefers, the first of equals; "" when it accepts no offer.
func accepted(r *http.Request, offers ...string) string {
	return httpx.Negotiate(strings.Join(r.Header.Values("Accept"), ","), offers...)
}

// answerType returns the content type of an answer without embedded records.
func answerType(r *http.Request) (string, error) {
	if media := accepted(r, mediaV2, mediaJSON, mediaBinary, mediaPlain); media != "" {
		return media, nil
	}
	return "", failed(http.StatusNotAcceptable, "HTTP 406 Not Acceptable: accept %s", mediaV2)
}

// recordsType returns the content type of an answer with records in format f. A client that accepts only another
// embedded format gets the API's code for that case. A client that names no format gets the instance's.
func recordsType(r *http.Request, f format) (string, error) {
	if accepted(r, f.media(), mediaV2, mediaPlain) != "" {
		return f.media(), nil
	}
	for _, other := range []string{mediaJSON, mediaBinary, "application/vnd.kafka.avro.v2+json",
		"application/vnd.kafka.jsonschema.v2+json", "application/vnd.kafka.protobuf.v2+json"} {
		if accepted(r, other) != "" {
			return "", failed(codeFormatMismatch, "The requested embedded data format does not match the deserializer for this consumer instance: "+
				"it was created with format %q, accept %s", f, f.media())
		}
	}
	return "", failed(http.StatusNotAcceptable, "HTTP 406 Not Acceptable: accept %s", f.media())
}
