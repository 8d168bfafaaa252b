package replay

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
)

// differencesKept is how many differences are named.
const differencesKept = 1000

// Difference is a row that is not as it was, and nothing explains it.
type Difference struct {
	Table string `json:"table"`
	Row   string `json:"row"` // its key
	Was   string `json:"was"` // "" = it was not there
	Is    string `json:"is"`  // "" = it is gone
}

// Comparison says how the state after a replay compares with that before.
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

// differs reports whether the pair is one that a replay must not leave behind.
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

// compare compares two snapshots. explained is asked about each row that differs, after suspect was told of all of them.
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

func add(h hash.Hash, tables []table, r *row) {
	if r != nil {
		_, _ = io.WriteString(h, tables[r.table].name+"\n"+r.key+"\n"+r.hash+"\n")
	}
}

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
