package windows

import "pasdetrois/pkg/messages"

// Producers choose the names of events. A run keeps this many of them apart, so that a new name with
// each record cannot fill the memory. The first names to arrive are kept, so a restart may keep other ones.
const (
	maxNames = 1000
	// OtherNames is the name under which a run counts all further names together.
	OtherNames = "(other names)"
)

// names are the event names that a run keeps apart. The contract's names are among them from the start. Currencies need
// no bound: only codes of ISO 4217 are read.
type names map[string]bool

func newNames() names {
	n := names{}
	for _, t := range messages.Registry() {
		n[t.Name] = true
	}
	return n
}

// bound renames an event to OtherNames when there is no room for its name.
func (n names) bound(e *event) {
	switch {
	case n[e.name]:
	case len(n) >= maxNames:
		e.name = OtherNames
	default:
		n[e.name] = true
	}
}
