package httpapi

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/dunglas/httpsfv"

	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/services/orders/internal/app"
)

// keyGrace is how long, after its wait, a request may need to write its final answer down.
const keyGrace = 5 * time.Second

// KeyHeader is the header Idempotency-Key of a request.
type KeyHeader struct {
	keys []string // every Idempotency-Key that was sent
}

// keyParameter documents the header. huma does not validate it: a quoted key may be longer than its content, which counts.
func keyParameter() *huma.Param {
	shortest, longest := 1, 255
	return &huma.Param{Name: "Idempotency-Key", In: "header",
		Description: "Repeat a request with the same key to get the same answer. A quoted string counts as its content",
		Schema:      &huma.Schema{Type: huma.TypeString, MinLength: &shortest, MaxLength: &longest, Pattern: "^[ -~]*$"}}
}

// Resolve implements huma.Resolver.
func (in *KeyHeader) Resolve(ctx huma.Context) []error {
	in.keys = headerLines(ctx, "Idempotency-Key")
	return nil
}

// idempotency returns the request's key, nil without one. asked is what the request asks for, as JSON can say it: two
// requests are the same when that is the same, however their bodies were written. An empty key is refused like two
// keys, because a client that sends a key means it.
func (in *KeyHeader) idempotency(wait time.Duration, asked ...any) (*app.Idempotency, error) {
	if len(in.keys) == 0 {
		return nil, nil
	}
	key := bareKey(in.keys[0])
	if len(in.keys) > 1 || key == "" || len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, httpx.BadParam("header.Idempotency-Key", "must be one key of 1 to 255 printable ASCII characters")
	}
	meaning, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	hash := sha256.Sum256(meaning)
	id := &app.Idempotency{Key: key, RequestHash: hash[:]}
	if wait > 0 {
		id.RunningFor = wait + keyGrace
	}
	return id, nil
}

// bareKey returns the content of a key that is a string of RFC 9651 (structured fields), which is the form of the IETF
// draft draft-ietf-httpapi-idempotency-key-header. Its parameters mean nothing. Any other value is the key itself.
func bareKey(value string) string {
	item, err := httpsfv.UnmarshalItem([]string{value})
	if err != nil {
		return value
	}
	if s, ok := item.Value.(string); ok {
		return s
	}
	return value
}
