package replay

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
)

// differencesKept bounds the list of differences in a report. All of them are counted.
const differencesKept = 1000

// Difference is a settled row that changed, or a row that was added, without an explanation.
type Difference struct {
	Table string `json:"table"`
	Row   string `json:"row"` // its key
	Was   string `json:"was"` // "" = it was not there
	Is    string `json:"is"`  // "" = it is gone
}

// Comparison compares the state before a replay with the state after it. The two hashes cover the same rows, so they
// are equal exactly when Different is 0. Each row counts once, in Rows, Unsettled or MovedOn. A new row counts in none
// of them if its table may grow.
type Comparison struct {
	Before      string       `json:"state_before"` // hash of all rows that were compared
	After       string       `json:"state_after"`
	Rows        int64        `json:"rows"`      // that were compared
	Unsettled   int64        `json:"unsettled"` // not settled before: not compared
	MovedOn     int64        `json:"moved_on"`  // differ, or are new, for another reason than the replay: not compared
	Different   int64        `json:"different"`
	Differences []Difference `json:"differences"` // the first 1,000
}

// Equal reports whether nothing differs.
func (c *Comparison) Equal() bool { return c.Different == 0 }

// change is a pair of rows that differ.
type change struct{ was, is *row }

// differs reports whether a pair of rows needs an explanation. A row that was not settled may change, since its own
// work went on. A settled row must neither change nor vanish. A new row needs an explanation, except in a table that
// may grow.
func differs(tables []table, was, is *row) bool {
	switch {
	case was == nil:
		return !tables[is.table].mayGrow
	case !was.settled:
		return false
	default:
		return is == nil || is.hash != was.hash
	}
}

// compare reads both snapshots twice. The first pass calls suspect for each row that differs. Then ready is called
// once, if there was such a row, and may take as long as reading the topics. The second pass calls explained for the
// same rows.
func compare(service string, before, after *snapshot, suspect func(change), explained func(change) bool, ready func() error) (*Comparison, error) {
	tables := tables(service)
	suspects := 0
	err := pair(before, after, func(was, is *row) {
		if differs(tables, was, is) {
			suspects++
			suspect(change{was, is})
		}
	})
	if err == nil && suspects > 0 {
		err = ready()
	}
	if err != nil {
		return nil, err
	}
	c := &Comparison{Differences: []Difference{}}
	then, now := sha256.New(), sha256.New()
	err = pair(before, after, func(was, is *row) {
		different := differs(tables, was, is)
		switch {
		case different && explained(change{was, is}):
			c.MovedOn++
			return
		case was == nil && !different:
			return
		case was != nil && !was.settled:
			c.Unsettled++
			return
		}
		c.Rows++
		add(then, tables, was)
		add(now, tables, is)
		if different {
			c.tell(tables, was, is)
		}
	})
	c.Before, c.After = hex.EncodeToString(then.Sum(nil)), hex.EncodeToString(now.Sum(nil))
	return c, err
}

// add adds a row to a hash. A missing row adds nothing.
func add(h hash.Hash, tables []table, r *row) {
	if r != nil {
		_, _ = io.WriteString(h, tables[r.table].name+"\n"+r.key+"\n"+r.hash+"\n")
	}
}

// tell counts a difference, and keeps it while the list has room.
func (c *Comparison) tell(tables []table, was, is *row) {
	c.Different++
	if len(c.Differences) == differencesKept {
		return
	}
	var d Difference
	if was != nil {
		d.Table, d.Row, d.Was = tables[was.table].name, was.key, was.is
	}
	if is != nil {
		d.Table, d.Row, d.Is = tables[is.table].name, is.key, is.is
	}
	c.Differences = append(c.Differences, d)
}
