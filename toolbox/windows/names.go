package windows

import "pasdetrois/pkg/messages"

// Producers choose the names and currencies of events. A run keeps this many of them apart, so that a new name with
// each record cannot fill the memory. The first names to arrive are kept, so a restart may keep other ones.
const (
	maxNames      = 1000
	maxNameBytes  = 1000
	maxCurrencies = 200 // ISO 4217 has fewer

	// OtherNames is the name under which a run counts all further names together.
	OtherNames = "(other names)"
)

// names are the names and currencies that a run keeps apart. The contract's names are among them from the start.
type names struct{ events, currencies map[string]bool }

func newNames() names {
	n := names{events: map[string]bool{}, currencies: map[string]bool{}}
	for _, t := range messages.Registry() {
		n.events[t.Name] = true
	}
	return n
}

// bound renames an event to OtherNames when there is no room for its name. An amount in a currency without room counts
// as unreadable: the event is counted, and no sum mixes currencies.
func (n names) bound(e *event) {
	if !admit(n.events, e.name, maxNames) {
		e.name = OtherNames
	}
	if e.currency != "" && !admit(n.currencies, e.currency, maxCurrencies) {
		e.currency, e.minor, e.badAmount = "", 0, true
	}
}

// admit reports whether a set has the text, or has room for it.
func admit(set map[string]bool, text string, most int) bool {
	if set[text] {
		return true
	}
	if len(set) >= most || len(text) > maxNameBytes {
		return false
	}
	set[text] = true
	return true
}
