package httpx

import (
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Paging has the query parameters of every list. P is the type of position in its cursor.
type Paging[P Position[P]] struct {
	Limit  int       `query:"limit" minimum:"1" maximum:"500" default:"50"`
	Cursor Cursor[P] `query:"cursor" doc:"next_cursor of the page before"`
}

// Page is the body of a list's answer.
type Page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor,omitempty" doc:"Absent on the last page"`
}

// PageOutput is the answer of a list.
type PageOutput[T any] struct{ Body Page[T] }

// NewPage answers with the first limit items, each converted by show. The caller reads limit+1 items: with more than limit of
// them another page follows, and it begins behind the last item of this page. No query counts all items.
//
// All pages together have every item once that was there when the first page was read. Newer items never appear in them: a
// position belongs to an item, and does not count the items before it.
func NewPage[P Position[P], I, T any](items []I, limit int, show func(I) T, position func(I) P) *PageOutput[T] {
	out := &PageOutput[T]{}
	if len(items) > limit {
		items = items[:limit]
		out.Body.NextCursor = NewCursor(position(items[limit-1]))
	}
	out.Body.Items = make([]T, len(items))
	for i, item := range items {
		out.Body.Items[i] = show(item)
	}
	return out
}

// Position is the place where a page of a list ends: At or Number. Every text that matches its pattern is a position, so the
// OpenAPI document describes exactly the cursors that are accepted. parse gets texts of clients, and never panics.
type Position[P any] interface {
	text() string
	pattern() string
	parse(text string) (P, bool)
}

// Cursor is the query parameter ?cursor= of a list. Clients return it as it came: its text is opaque, and has a version. A
// cursor of another version is rejected with 400, and the client begins at the first page again. It is not signed: a client
// that makes one up gets a page of the same list, and sees nothing more.
type Cursor[P Position[P]] struct {
	Position P // the zero value is the start of the list
}

// cursorVersion changes with the meaning of a cursor's text. Version 1 had no prefix.
const cursorVersion = "v2."

var errCursor = errors.New("must be the next_cursor of a page before; one from another version of this service is not accepted: begin at the first page")

// NewCursor returns the text of a cursor.
func NewCursor[P Position[P]](p P) string { return cursorVersion + p.text() }

// Schema implements huma.SchemaProvider.
func (c Cursor[P]) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: "^(v2[.]" + c.Position.pattern() + ")?$"}
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Cursor[P]) UnmarshalText(text []byte) (err error) {
	rest, ok := strings.CutPrefix(string(text), cursorVersion)
	if ok {
		c.Position, ok = c.Position.parse(rest)
	}
	if !ok {
		return errCursor
	}
	return nil
}

// At is a position in a list that is ordered by time, and by id among items of the same time. Its text is microseconds since
// 1970, and the id in hex.
type At struct {
	Time time.Time
	ID   string
}

// maxIDBytes bounds the id in a cursor. Ids have 128 characters at most, of 4 bytes each.
const maxIDBytes = 512

func (a At) text() string {
	return strconv.FormatInt(a.Time.UnixMicro(), 10) + "-" + hex.EncodeToString([]byte(a.ID))
}

func (At) pattern() string { return `[0-9]{1,17}-([0-9a-f][0-9a-f]){1,512}` }

// parse also accepts positions that no item has had: the list simply continues behind them. Bytes that Postgres does not accept
// in a text are replaced in the id, because the query would fail on them.
func (At) parse(text string) (At, bool) {
	micros, name, _ := strings.Cut(text, "-")
	n, err := strconv.ParseUint(micros, 10, 63)
	raw, badHex := hex.DecodeString(name)
	if err != nil || badHex != nil || len(micros) > 17 || len(raw) == 0 || len(raw) > maxIDBytes || name != strings.ToLower(name) {
		return At{}, false
	}
	id := strings.ReplaceAll(strings.ToValidUTF8(string(raw), "\uFFFD"), "\x00", "\uFFFD")
	return At{Time: time.UnixMicro(int64(n)).UTC(), ID: id}, true
}

// Number is a position in a list that is ordered by a number that each item has, from 1 on.
type Number int64

func (n Number) text() string { return strconv.FormatInt(int64(n), 10) }

func (Number) pattern() string { return `[1-9][0-9]{0,17}` }

func (Number) parse(text string) (Number, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return Number(n), err == nil && len(text) <= 18 && text[0] >= '1' && text[0] <= '9'
}
