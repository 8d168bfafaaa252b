package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/dunglas/httpsfv"

	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/services/orders/internal/app"
)

// keyGrace is the time that a request may need after its wait to store its final answer. A key is busy for the wait and this
// time. Later the first answer counts, so a crash in between blocks the key no longer than that.
const keyGrace = 5 * time.Second

// KeyHeader is the header Idempotency-Key of a request.
type KeyHeader struct {
	keys []string // the value of each line of the header
}

// keyParameter documents the header. huma does not validate it: the content of a quoted key counts, and the quotes would make a
// key of 255 characters too long.
func keyParameter() *huma.Param {
	shortest, longest := 1, 255
	return &huma.Param{Name: "Idempotency-Key", In: "header",
		Description: "Repeat a request with the same key to get the same answer. A quoted string counts as its content",
		Schema:      &huma.Schema{Type: huma.TypeString, MinLength: &shortest, MaxLength: &longest, Pattern: "^[ -~]*$"}}
}

// Resolve implements huma.Resolver. It only collects the lines; idempotency checks them.
func (in *KeyHeader) Resolve(ctx huma.Context) []error {
	in.keys = headerLines(ctx, "Idempotency-Key")
	return nil
}

// idempotency returns the request's key, nil without one. asked is the operation and its arguments after parsing. Two requests
// are the same when their JSON is the same, however their bodies were written. ?wait= is no part of it: a client may repeat a
// request with another wait. The key belongs to the caller's user. An empty key is rejected like two keys: the client relies on a protection that it would not have.
func (in *KeyHeader) idempotency(ctx context.Context, wait time.Duration, asked ...any) (*app.Idempotency, error) {
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
	id := &app.Idempotency{User: auth.Of(ctx).User, Key: key, RequestHash: hash[:]}
	if wait > 0 {
		id.RunningFor = wait + keyGrace
	}
	return id, nil
}

// bareKey returns the content of a key that is a string of RFC 9651 (structured fields), the form of the IETF draft
// draft-ietf-httpapi-idempotency-key-header. Parameters of the string are ignored. Any other value is the key itself, because
// most clients send keys without quotes. A client may thus change between the two forms.
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
