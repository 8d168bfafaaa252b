package feed

import (
	"encoding/json"
	"unicode/utf8"

	"pasdetrois/pkg/messages"
)

// Body is the JSON object that a record carries.
type Body map[string]json.RawMessage

// ReadBody reads a record's value. It returns false for what is no JSON object in UTF-8.
func ReadBody(value []byte) (Body, bool) {
	var b Body
	if len(value) == 0 || !utf8.Valid(value) || json.Unmarshal(value, &b) != nil || b == nil {
		return nil, false
	}
	return b, true
}

// Text returns the content of a text field. It returns false for a field that is missing or something else.
func (b Body) Text(field string) (string, bool) {
	raw := b[field]
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// Scalar returns the content of a text field or the literal of a number: an id or an amount may be either. "" stands for
// everything else.
func (b Body) Scalar(field string) string {
	raw := b[field]
	if len(raw) == 0 {
		return ""
	}
	switch c := raw[0]; {
	case c == '"':
		s, _ := b.Text(field)
		return s
	case c == '-', '0' <= c && c <= '9':
		return string(raw)
	}
	return ""
}

// Event returns what happened: the field `event`, else what the contract says that a record of its topic is when it does
// not tell, else "".
func (b Body) Event(topic string) string {
	if event, ok := b.Text("event"); ok && event != "" {
		return event
	}
	for _, t := range messages.Topics() {
		if t.Name == topic {
			return t.First
		}
	}
	return ""
}

// Has reports whether the field is there. null is the same as absent.
func (b Body) Has(field string) bool {
	raw, ok := b[field]
	return ok && string(raw) != "null"
}
