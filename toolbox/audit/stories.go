package audit

import (
	"iter"
	"strings"
	"time"

	"github.com/google/uuid"
)

// stories are the stories by order id, kept small, because there is one in memory for each order. An id that is a UUID, as
// ours are, is kept as its 16 bytes: without pointers, so that the garbage collector has nothing to look at.
type stories struct {
	byUUID map[uuid.UUID]story
	byName map[string]story
	since  time.Time // when the oldest outcome on the topics was decided; zero = there is none
}

func newStories() *stories {
	return &stories{byUUID: map[uuid.UUID]story{}, byName: map[string]story{}}
}

// asUUID returns false for an id that is not written as a UUID writes itself: two ids never become one.
func asUUID(id string) (uuid.UUID, bool) {
	if len(id) != len("00000000-0000-0000-0000-000000000000") || strings.ContainsAny(id, "ABCDEF") {
		return uuid.Nil, false
	}
	parsed, err := uuid.Parse(id)
	return parsed, err == nil
}

func (s *stories) of(id string) (story, bool) {
	if u, ok := asUUID(id); ok {
		st, known := s.byUUID[u]
		return st, known
	}
	st, known := s.byName[id]
	return st, known
}

func (s *stories) keep(id string, st story) {
	if u, ok := asUUID(id); ok {
		s.byUUID[u] = st
		return
	}
	s.byName[strings.Clone(id)] = st // alone, not with the message that it was read from
}

func (s *stories) forget(id string) {
	if s == nil {
		return
	}
	if u, ok := asUUID(id); ok {
		delete(s.byUUID, u)
		return
	}
	delete(s.byName, id)
}

func (s *stories) all() iter.Seq2[string, story] {
	return func(yield func(string, story) bool) {
		if s == nil {
			return
		}
		for id, st := range s.byUUID {
			if !yield(id.String(), st) {
				return
			}
		}
		for id, st := range s.byName {
			if !yield(id, st) {
				return
			}
		}
	}
}
