package audit

import (
	"iter"
	"strings"

	"github.com/google/uuid"
)

// stories are the stories by order id. There is one in memory for each order, so each is kept small. An id that is a
// UUID, as ours are, is kept as 16 bytes: a map without pointers costs the garbage collector nothing. Other ids are
// kept as strings.
//
// It is not safe for concurrent use. The methods that a merge without topics calls accept nil.
type stories struct {
	byUUID map[uuid.UUID]story
	byName map[string]story
	begun  map[int32]bool        // the partitions of topic orders on which an outcome was read
	mailed map[int32]bool        // the partitions of topic notifications on which an outcome of an email was read
	later  map[secondMail]uint32 // their hashes
	// products are those of which the topics say something, by sku. There are few.
	products map[string]product
}

func newStories() *stories {
	return &stories{byUUID: map[uuid.UUID]story{}, byName: map[string]story{}, begun: map[int32]bool{},
		mailed: map[int32]bool{}, later: map[secondMail]uint32{}, products: map[string]product{}}
}

// asUUID returns false for an id that is not the canonical text of a UUID, such as one in upper case. Two different ids
// thus never share a story.
func asUUID(id string) (uuid.UUID, bool) {
	if len(id) != len("00000000-0000-0000-0000-000000000000") || strings.ContainsAny(id, "ABCDEF") {
		return uuid.Nil, false
	}
	parsed, err := uuid.Parse(id)
	return parsed, err == nil
}

// of returns the story of an id, and false when there is none.
func (s *stories) of(id string) (story, bool) {
	if u, ok := asUUID(id); ok {
		st, known := s.byUUID[u]
		return st, known
	}
	st, known := s.byName[id]
	return st, known
}

// keep stores the story of an id and replaces the one before.
func (s *stories) keep(id string, st story) {
	if u, ok := asUUID(id); ok {
		s.byUUID[u] = st
		return
	}
	s.byName[strings.Clone(id)] = st // a copy, so that the message can be freed
}

// forget removes a story, so that only orders without a row remain at the end of the merge.
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

// all iterates over the stories that are left, in no order.
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
