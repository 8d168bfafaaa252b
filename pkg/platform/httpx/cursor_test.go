package httpx

import (
	"encoding/hex"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestACursorIsThePlaceThatItWasMadeOf(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 30, 1, 2, 3, 456789000, time.UTC)
	for _, id := range []string{"o", "Bestellung/ä 17", strings.Repeat("\U0001F600", 128)} {
		cursor := NewCursor(at, id)
		require.Regexp(t, cursorPattern, string(cursor))
		gotAt, gotID, ok, err := cursor.Place()
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, at, gotAt)
		require.Equal(t, id, gotID)
	}
	_, _, ok, err := Cursor("").Place()
	require.NoError(t, err)
	require.False(t, ok, "the first page")
}

// What the document allows is taken, and what it does not allow is refused.
func TestACursorIsTakenWhenItMeetsItsPattern(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile(cursorPattern)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9]{0,19}-?[0-9a-fA-F]{0,9}`)).Draw(t, "cursor")
		_, id, _, err := Cursor(text).Place()
		require.Equal(t, pattern.MatchString(text), err == nil, "%q", text)
		require.True(t, utf8.ValidString(id) && !strings.ContainsRune(id, 0), "%q", id)
	})
	_, id, _, err := Cursor("1-" + hex.EncodeToString([]byte("a\x00\xffb"))).Place()
	require.NoError(t, err)
	require.Equal(t, "a\uFFFD\uFFFDb", id, "Postgres takes it")
}
