package lanes

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/kafka"
)

func TestReadingBeginsWhereNothingIsSkipped(t *testing.T) {
	t.Parallel()
	log := kafka.LogState{First: 10, Stable: 20, End: 25}
	for name, c := range map[string]struct {
		far  kafka.Progress
		want Start
	}{
		"nothing committed":                   {kafka.Progress{Next: -1}, Start{Offset: 10, why: nothingCommitted}},
		"committed":                           {kafka.Progress{Next: 15, TopicID: "id"}, Start{Offset: 15}},
		"committed by another tool":           {kafka.Progress{Next: 15, TopicID: ""}, Start{Offset: 15}},
		"all read":                            {kafka.Progress{Next: 25, TopicID: "id"}, Start{Offset: 25}},
		"first records deleted":               {kafka.Progress{Next: 4, TopicID: "id"}, Start{Offset: 10, why: logWasCut, missed: 6}},
		"another topic of that name":          {kafka.Progress{Next: 15, TopicID: "before"}, Start{Offset: 10, why: topicIsNew}},
		"another topic whose log is shorter":  {kafka.Progress{Next: 99, TopicID: "before"}, Start{Offset: 10, why: topicIsNew}},
		"another topic whose log begins late": {kafka.Progress{Next: 4, TopicID: "before"}, Start{Offset: 10, why: topicIsNew}},
		"the brokers lost records":            {kafka.Progress{Next: 26, TopicID: "id"}, Start{Offset: 10, why: logIsShort}},
	} {
		require.Equal(t, c.want, StartOf(c.far, "id", log), name)
	}
	require.Equal(t, Start{Offset: 15}, StartOf(kafka.Progress{Next: 15, TopicID: "id"}, "", log), "brokers that tell no ids")
}

// markingSession remembers the latest mark.
type markingSession struct {
	fakeSession
	offset   int64
	metadata string
	marks    int
}

func (s *markingSession) Claims() map[string][]int32 { return map[string][]int32{"t": {0}} }
func (s *markingSession) MarkOffset(_ string, _ int32, offset int64, metadata string) {
	s.offset, s.metadata, s.marks = offset, metadata, s.marks+1
}

// What there is nothing to read of is committed by the session that held the partition when that was asked, and by no other:
// in between somebody may have moved the group back.
func TestOnlyTheSessionThatIsAskedAboutPassesOverNothing(t *testing.T) {
	t.Parallel()
	ctx, end := context.WithCancel(context.Background())
	session := &markingSession{fakeSession: fakeSession{ctx: ctx}}
	h := newSession(session, "t", kafka.TopicState{ID: "id"})
	h.Passed(1, 7)
	require.Zero(t, session.marks, "a partition that is not ours")
	h.Passed(0, 7)
	require.Equal(t, int64(7), session.offset)
	require.Equal(t, "topic-id=id", session.metadata)
	end()
	h.Passed(0, 9)
	require.Equal(t, int64(7), session.offset, "the session has ended")
}

func TestATopicThatChangedEndsItsSession(t *testing.T) {
	t.Parallel()
	s := NewSessions()
	begin := func(id string, partitions int32) *Session {
		h := newSession(&markingSession{fakeSession: fakeSession{ctx: context.Background()}}, "t", kafka.TopicState{ID: id, Partitions: partitions})
		s.set(h)
		return h
	}
	h := begin("a", 6)
	require.Equal(t, Unchanged, s.Compare("t", kafka.TopicState{ID: "a", Partitions: 6}))
	require.Equal(t, Unchanged, s.Compare("t", kafka.TopicState{ID: "", Partitions: 6}), "a broker that tells no id")
	require.NoError(t, h.Context().Err())
	require.Equal(t, MadeAgain, s.Compare("t", kafka.TopicState{ID: "b", Partitions: 6}))
	require.Error(t, h.Context().Err())
	h = begin("b", 6)
	require.Equal(t, Unchanged, s.Compare("t", kafka.TopicState{ID: "a", Partitions: 3}), "a broker that is behind is not believed")
	require.True(t, s.isFormer("t", "a"))
	require.NoError(t, h.Context().Err())
	require.Equal(t, Resized, s.Compare("t", kafka.TopicState{ID: "b", Partitions: 7}))
	require.Error(t, h.Context().Err())
	require.Equal(t, Unchanged, s.Compare("t", kafka.TopicState{ID: "b", Partitions: 8}), "there is no session")
}
