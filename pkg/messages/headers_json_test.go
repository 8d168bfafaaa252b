package messages_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"pasdetrois/pkg/messages"
)

// The tables hold this text: it must stay readable.
func TestHeadersKeepTheirBytesInJSON(t *testing.T) {
	t.Parallel()
	for stored, headers := range map[string]messages.Headers{
		`[]`: nil,
		`[{"key":"Y2VfaWQ=","value":"YQ=="},{"key":"Y2VfaWQ=","value":"Yg=="}]`:                 {{Key: "ce_id", Value: []byte("a")}, {Key: "ce_id", Value: []byte("b")}},
		`[{"key":"Yf8=","value":"AP4="},{"key":"","value":""},{"key":"bm9uZQ==","value":null}]`: {{Key: "a\xff", Value: []byte{0, 0xfe}}, {Value: []byte{}}, {Key: "none"}},
	} {
		encoded, err := json.Marshal(headers)
		if err != nil || string(encoded) != stored {
			t.Fatalf("%v is written as %s (%v), want %s", headers, encoded, err, stored)
		}
		var decoded messages.Headers
		if err := json.Unmarshal(encoded, &decoded); err != nil || !reflect.DeepEqual(decoded, headers) {
			t.Fatalf("%s is read as %v (%v), want %v", encoded, decoded, err, headers)
		}
	}
	var headers messages.Headers
	for _, wrong := range []string{`[{"key":"not base64"}]`, `{}`} {
		if json.Unmarshal([]byte(wrong), &headers) == nil {
			t.Errorf("%s is accepted", wrong)
		}
	}
}
