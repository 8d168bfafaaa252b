package messages_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

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
		require.NoError(t, err)
		require.Equal(t, stored, string(encoded))
		var decoded messages.Headers
		require.NoError(t, json.Unmarshal(encoded, &decoded))
		require.Equal(t, headers, decoded)
	}
	var headers messages.Headers
	require.Error(t, json.Unmarshal([]byte(`[{"key":"not base64"}]`), &headers))
	require.Error(t, json.Unmarshal([]byte(`{}`), &headers))
}
