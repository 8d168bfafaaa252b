package erasure

import "encoding/json"

// Row is a row of an export as Postgres writes it: with all columns that the table has.
type Row struct {
	JSON json.RawMessage
	Mail []string // addresses in it, by which dead letters about the user are found
}

// MarshalJSON implements json.Marshaler.
func (r Row) MarshalJSON() ([]byte, error) { return r.JSON, nil }
