package replay

import "pasdetrois/pkg/messages"

// table is one kind of rows that a replay must not change. Each service's migrations define a view of it, replay_<name>.
type table struct {
	name      string
	positions bool // keys are positions of records
	mayGrow   bool // a row that was added is no difference
}

// sql reads the view, in the order of the key's bytes. "About" is an order or message id, which messages that explain a
// difference name. "Alone" is what brought the row to its state without a message, or "".
func (t table) sql() string {
	return `SELECT key, about, settled, alone, state, digest FROM replay_` + t.name + ` ORDER BY key COLLATE "C"`
}

// tables returns the part of a service's state that must stay.
func tables(service string) []table {
	letters := table{name: "dead_letters", positions: true}
	switch service {
	case messages.ServiceOrders:
		return []table{{name: "orders"}, {name: "inventory", mayGrow: true}, letters}
	case messages.ServicePayments:
		return []table{{name: "payments"}, {name: "provider_ledger"}, letters}
	default:
		return []table{{name: "notifications"}, letters}
	}
}
