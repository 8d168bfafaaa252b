package httpx

import (
	"encoding/json"
	"errors"

	"github.com/danielgtaylor/huma/v2"
)

// Decimal is an exact decimal number: the literal of the JSON document, never a float. Amounts would lose cents as floats. It is
// syntactically a number, and no more is checked: package messages parses it for a currency.
type Decimal string

// Schema implements huma.SchemaProvider.
func (Decimal) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeNumber, Description: "Exact decimal number of major units, with no more digits than the currency has", Examples: []any{49.99}}
}

// UnmarshalJSON keeps the number's literal. It rejects a number in quotes, which json.Number would accept.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	var n json.Number
	if len(b) == 0 || b[0] == '"' || json.Unmarshal(b, &n) != nil {
		return errors.New("write the amount as a JSON number")
	}
	*d = Decimal(n)
	return nil
}

// MarshalJSON writes the literal.
func (d Decimal) MarshalJSON() ([]byte, error) { return []byte(d), nil }
