package messages

import (
	"encoding/json"
	"fmt"
)

// Headers are the headers of a record, in order. A key may occur several times.
//
// Their JSON is how the services' tables store them: keys and values in base64, since a header may hold any bytes and
// JSON text only UTF-8. A null value stays null.
type Headers []Header

type headerJSON struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value"`
}

// MarshalJSON implements json.Marshaler.
func (hs Headers) MarshalJSON() ([]byte, error) {
	rows := make([]headerJSON, len(hs))
	for i, h := range hs {
		rows[i] = headerJSON{Key: []byte(h.Key), Value: h.Value}
	}
	return json.Marshal(rows)
}

// UnmarshalJSON implements json.Unmarshaler. No headers are nil.
func (hs *Headers) UnmarshalJSON(encoded []byte) error {
	var rows []headerJSON
	if err := json.Unmarshal(encoded, &rows); err != nil {
		return fmt.Errorf("headers: %w", err)
	}
	*hs = nil
	for _, h := range rows {
		*hs = append(*hs, Header{Key: string(h.Key), Value: h.Value})
	}
	return nil
}
