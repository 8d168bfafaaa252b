package httpx

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Cursor is the query parameter ?cursor= of a list that is ordered by time and id: the place where a page ended. It is
// written so that every text that meets its pattern is a place: microseconds since 1970, and the id in hex. Clients hand
// it back unread.
type Cursor string

// maxIDBytes bounds the id in a cursor. Ids have 128 characters at most, of 4 bytes each.
const maxIDBytes = 512

const cursorPattern = `^([0-9]{1,17}-([0-9a-f][0-9a-f]){1,512})?$`

// NewCursor returns the cursor of a place.
func NewCursor(at time.Time, id string) Cursor {
	return Cursor(strconv.FormatInt(at.UnixMicro(), 10) + "-" + hex.EncodeToString([]byte(id)))
}

// Schema implements huma.SchemaProvider.
func (Cursor) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: cursorPattern}
}

// Place returns the cursor's place; ok is false for the first page. The error is BadParam. A place that no item ever had
// is one all the same: what Postgres takes for no text is replaced in its id.
func (c Cursor) Place() (at time.Time, id string, ok bool, err error) {
	if c == "" {
		return time.Time{}, "", false, nil
	}
	micros, name, _ := strings.Cut(string(c), "-")
	n, err := strconv.ParseUint(micros, 10, 63)
	raw, badHex := hex.DecodeString(name)
	if err != nil || badHex != nil || len(micros) > 17 || len(raw) == 0 || len(raw) > maxIDBytes || name != strings.ToLower(name) {
		return time.Time{}, "", false, BadParam("query.cursor", "must be the next_cursor of a page before")
	}
	id = strings.ReplaceAll(strings.ToValidUTF8(string(raw), "\uFFFD"), "\x00", "\uFFFD")
	return time.UnixMicro(int64(n)).UTC(), id, true, nil
}

// Number is the query parameter ?cursor= of a list that is ordered by a number that each item has.
type Number string

// Schema implements huma.SchemaProvider.
func (Number) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: `^([1-9][0-9]{0,17})?$`}
}

// Value returns the number, 0 for the first page, or BadParam.
func (n Number) Value() (int64, error) {
	if n == "" {
		return 0, nil
	}
	value, err := strconv.ParseInt(string(n), 10, 64)
	if err != nil || value < 1 || len(n) > 18 || n[0] < '1' || n[0] > '9' {
		return 0, BadParam("query.cursor", "must be the next_cursor of a page before")
	}
	return value, nil
}
