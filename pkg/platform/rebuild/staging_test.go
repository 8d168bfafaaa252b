package rebuild

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/pkg/platform/signing/signingtest"
)

// What comes back is decoded from the same bytes: ids that are made of the content are the same, too.
func TestAStagedRecordGivesTheSameMessage(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	s := staging(t, pool)
	at := time.UnixMilli(1_789_000_000_123).UTC()
	records := []messages.Record{
		placed(t, "own", 7, at),
		{Topic: messages.TopicOrders, Offset: 1 << 40, Value: []byte(`{"order_id": 42, "user_id": 7, "total": 49.99}`), Time: at},
		{Topic: messages.TopicOrders, Partition: 5, Key: []byte{}, Value: []byte(`{"order_id": "f", "user_id": "u", "total": "1e1"}`), Time: at},
		{Topic: messages.TopicOrders, Partition: 5, Offset: 3, Key: []byte("other"), Time: at, Headers: messages.Headers{{Key: "ce_outside", Value: nil}, {Key: "", Value: []byte{}}, {Key: "ce_source", Value: []byte("urn:x")}},
			Value: []byte(`{"specversion": "1.0", "id": "i", "source": "urn:x", "type": "pasdetrois.order_placed.v1", "data": {"order_id": "s", "user_id": "u", "total": 1}}`)},
	}
	for _, r := range records {
		m, err := messages.Decode(r)
		require.NoError(t, err)
		s.Add(m.Event.Key(), r)
		stored := appendEntry(nil, "k", r)
		e := entries{b: stored}
		key, back := e.next()
		require.False(t, e.broken)
		require.Empty(t, e.b)
		require.Equal(t, "k", key)
		require.Equal(t, r, back)
		for cut := range stored {
			e := entries{b: stored[:cut]}
			e.next()
			require.True(t, e.broken, cut)
		}
	}
	require.NoError(t, s.Save(t.Context(), nil))
	found := map[string]Story{}
	for _, story := range all(t, s, 1<<20) {
		found[story.Key] = story
	}
	require.Len(t, found, len(records))
	for _, r := range records {
		m, err := messages.Decode(r)
		require.NoError(t, err)
		require.Equal(t, []Record{{m, r.Topic, r.Partition, r.Offset, r.Time}}, found[m.Event.Key()].Records)
	}
}

func all(t *testing.T, s *Staging, most int64) (stories []Story) {
	t.Helper()
	ranges, err := s.Ranges(t.Context(), most)
	require.NoError(t, err)
	for _, r := range ranges {
		some, err := s.Stories(t.Context(), r)
		require.NoError(t, err)
		require.True(t, slices.IsSortedFunc(some, func(a, b Story) int {
			if a.Key < b.Key {
				return -1
			}
			return 1
		}))
		stories = append(stories, some...)
	}
	return stories
}

// Ranges of any size have each story whole and once: several saves add to one story, and a bucket may be too large.
func TestEachStoryIsReadOnce(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	s := staging(t, pool)
	const keys, saves = 300, 3
	at := time.Now().UTC().Truncate(time.Millisecond)
	for save := range saves {
		for key := range keys {
			r := placed(t, fmt.Sprint("order-", key), int64(save), at.Add(-time.Duration(save)*time.Second))
			r.Headers = append(r.Headers, messages.Header{Key: "ce_id", Value: fmt.Appendf(nil, "00000000-0000-0000-0000-%06d%06d", save, key)})
			s.Add(fmt.Sprint("order-", key), r)
		}
		require.NoError(t, s.Save(t.Context(), nil))
	}
	for _, most := range []int64{600, 1 << 20, 1 << 30} {
		seen := map[string]int{}
		for _, story := range all(t, s, most) {
			seen[story.Key] += len(story.Records)
			require.True(t, slices.IsSortedFunc(story.Records, func(a, b Record) int { return a.Time.Compare(b.Time) }))
		}
		require.Len(t, seen, keys, most)
		for key, n := range seen {
			require.Equal(t, saves, n, key)
		}
	}
}

func TestAMessageThatWasDeliveredTwiceIsInItsStoryOnce(t *testing.T) {
	t.Parallel()
	s := staging(t, setup(t))
	at := time.Now().UTC().Truncate(time.Millisecond)
	for _, offset := range []int64{9, 4, 5} {
		s.Add("o", placed(t, "o", offset, at))
	}
	require.NoError(t, s.Save(t.Context(), nil))
	stories := all(t, s, 1<<20)
	require.Len(t, stories, 1)
	require.Len(t, stories[0].Records, 1)
	require.EqualValues(t, 4, stories[0].Records[0].Offset)
}

// The progress never says more than the records: both are one transaction.
func TestRecordsAndProgressAreStoredTogether(t *testing.T) {
	t.Parallel()
	pool := setup(t)
	s := staging(t, pool)
	at, unreadable := time.Now(), int64(5)
	progress := map[Place]Progress{{"orders", 2}: {"id", 8, &unreadable, &unreadable, map[string]int64{"order_placed": 3}},
		{"payments", 0}: {Next: 1, First: map[string]int64{}}}
	s.Add("o", placed(t, "o", 7, at))
	require.NoError(t, s.Save(t.Context(), progress))
	again := staging(t, pool)
	found, err := again.Progress(t.Context())
	require.NoError(t, err)
	require.Equal(t, progress, found)

	_, err = pool.Exec(t.Context(), `ALTER TABLE rebuild_progress ADD CONSTRAINT never CHECK (next_offset < 9)`)
	require.NoError(t, err)
	again.Add("p", placed(t, "p", 8, at))
	require.Error(t, again.Save(t.Context(), map[Place]Progress{{"orders", 2}: {TopicID: "id", Next: 9}}))
	require.Equal(t, 1, rows(t, pool, "rebuild_records"))
	found, err = again.Progress(t.Context())
	require.NoError(t, err)
	require.Equal(t, progress, found)

	require.NoError(t, again.Clear(t.Context()))
	require.Zero(t, rows(t, pool, "rebuild_records")+rows(t, pool, "rebuild_progress"))
}

// A rebuild that was ended had no keys. The one that continues has some: it must not believe what was staged before.
func TestRecordsThatTheKeysRefuseAreInNoStory(t *testing.T) {
	t.Parallel()
	s := staging(t, setup(t))
	forged, err := messages.Message{ID: "m", Event: messages.PaymentCaptured{OrderID: "o", UserID: "u",
		Amount: messages.Money{Minor: 100, Currency: "USD"}, PaymentID: "p"}}.Record()
	require.NoError(t, err)
	s.Add("o", forged)
	s.Add("o", placed(t, "o", 1, time.Now()))
	s.Add("only", forged)
	require.NoError(t, s.Save(t.Context(), nil))
	for _, keys := range []*signing.Keys{nil, signingtest.New(t).Keys(t)} {
		s.keys = keys
		stories, err := s.Stories(t.Context(), Range{0, Buckets - 1, 0, 1, 0})
		require.NoError(t, err)
		if keys == nil {
			require.Len(t, stories, 2)
			continue
		}
		require.Len(t, stories, 1)
		require.Len(t, stories[0].Records, 1)
	}
}
