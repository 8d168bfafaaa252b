package audit

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStoriesOfIDsThatLookAlikeStayApart(t *testing.T) {
	t.Parallel()
	ids := []string{"01a1fd79-0000-7000-8000-00000000000a", "01A1FD79-0000-7000-8000-00000000000A", "01a1fd79-0000-7000-8000-00000000000A",
		"01a1fd7900007000800000000000000a", "{01a1fd79-0000-7000-8000-00000000000a}", "urn:uuid:01a1fd79-0000-7000-8000-00000000000a",
		"01a1fd79-0000-7000-8000-00000000000g", "", "1001", "01a1fd79-0000-7000-8000-00000000000b", "01a1fd79x0000x7000x8000x00000000000a"}
	s, want := newStories(), map[string]story{}
	for i, id := range ids {
		want[id] = story{captured: int64(i)}
		s.keep(id, want[id])
	}
	require.Equal(t, want, maps.Collect(s.all()))
	for id, st := range want {
		found, known := s.of(id)
		require.True(t, known)
		require.Equal(t, st, found)
		s.forget(id)
		_, known = s.of(id)
		require.False(t, known)
	}
	require.Empty(t, maps.Collect(s.all()))
}
