package httpapi

import (
	"encoding/json"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/pkg/messages"
)

// The values of request bodies that JSON can write in several ways. They are parsed as the contract parses them on Kafka, so
// one document means the same order on both ways. huma checks the schema first; text, code and UnmarshalJSON check the rest,
// and their errors become 422 problems.

// ID is an id in a request: text, or a whole number. It keeps the JSON literal, because a float would change the last digits of
// a long number.
type ID string

// Schema implements huma.SchemaProvider. The type is an extension, because huma checks one type only; text checks the rest.
func (ID) Schema(huma.Registry) *huma.Schema {
	shortest, longest := 1, messages.MaxIDLength
	return &huma.Schema{MinLength: &shortest, MaxLength: &longest, Extensions: map[string]any{"type": []string{"string", "integer"}}}
}

// UnmarshalJSON keeps the literal. It never fails: text reports a wrong literal, with the name of its field.
func (v *ID) UnmarshalJSON(b []byte) error {
	*v = ID(b)
	return nil
}

func (v ID) absent() bool { return v == "" || v == "null" }

// text returns the id, "" for null and for a missing one, and an error for any other kind of value.
func (v ID) text() (string, error) {
	if v.absent() {
		return "", nil
	}
	if v[0] == '"' {
		var s string
		err := json.Unmarshal([]byte(v), &s)
		return s, err
	}
	if id, ok := messages.IDOfNumber(string(v)); ok && (v[0] == '-' || v[0] >= '0' && v[0] <= '9') {
		return id, nil
	}
	return "", fmt.Errorf("must be text or a whole number, not %.40s", string(v))
}

// OrderID is the id that a client chooses for an order. HTTP clients have fewer characters to choose from than Kafka
// producers: an id occurs in addresses and in emails, where a sentence would be a stranger's message to our customer.
type OrderID struct{ ID }

// orderIDPattern has the characters that an HTTP client may use. Empty text counts as no choice, as null does.
const orderIDPattern = "^[A-Za-z0-9._:-]{0,128}$"

// Schema implements huma.SchemaProvider.
func (OrderID) Schema(r huma.Registry) *huma.Schema {
	s := ID("").Schema(r)
	s.MinLength = nil
	s.Extensions["pattern"] = orderIDPattern
	s.Description = "Chosen by the client; default: a UUIDv7"
	return s
}

// text returns the id, "" for none.
func (v OrderID) text() (string, error) {
	id, err := v.ID.text()
	for _, c := range []byte(id) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == ':', c == '-':
		default:
			return "", fmt.Errorf("must be 1 to %d of the characters A-Z a-z 0-9 . _ : -", messages.MaxIDLength)
		}
	}
	return id, err
}

// SKU is the id of a product in an order. Its rule is stricter in length than that of an ID.
type SKU struct{ ID }

// Schema implements huma.SchemaProvider.
func (SKU) Schema(r huma.Registry) *huma.Schema {
	s := ID("").Schema(r)
	longest := messages.MaxSKULength
	s.MaxLength = &longest
	return s
}

// Text is an optional text; empty, null and missing are the same.
type Text string

// Schema implements huma.SchemaProvider.
func (Text) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Nullable: true}
}

// Whole is a whole number in a request, in any notation of JSON: 2, 2.0 and 2e0 are 2.
type Whole int64

// UnmarshalJSON parses the literal exactly. huma has checked before that it is a whole number within the schema's bounds.
func (v *Whole) UnmarshalJSON(b []byte) error {
	n, ok := messages.WholeNumber(string(b))
	if !ok {
		return fmt.Errorf("write a whole number, not %.40s", string(b))
	}
	*v = Whole(n)
	return nil
}

// Currency is an ISO 4217 code in upper or lower case; empty, null and missing mean the default.
type Currency string

// Schema implements huma.SchemaProvider.
func (Currency) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Nullable: true, Pattern: "^([A-Za-z]{3})?$", Description: "ISO 4217, in upper or lower case; default " + messages.DefaultCurrency}
}

// code returns the code in upper case.
func (v Currency) code() (string, error) {
	code, ok := messages.ParseCurrency(string(v))
	if !ok {
		return "", fmt.Errorf("%q is not an ISO 4217 currency code", string(v))
	}
	return code, nil
}
