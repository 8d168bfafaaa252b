package replay

import "pasdetrois/pkg/messages"

// table is one kind of rows that a replay must not change. Each service's migrations define the view replay_<name> of
// it, so the service's tables may change without this package.
type table struct {
	name      string
	positions bool // keys are positions of records
	mayGrow   bool // a row that was added is no difference
}

// sql reads the view, in the order of the key's bytes. about is an order or message id: messages with this id may
// explain a difference. alone names the step that brought the row to its state without a message, with its time; else
// it is empty.
func (t table) sql() string {
	return `SELECT key, about, settled, alone, state, digest FROM replay_` + t.name + ` ORDER BY key COLLATE "C"`
}

// tables returns the part of a service's state that must stay the same. The outbox is no part of it, because it fills
// and empties all the time. The inventory shows only whether stock and orders agree, and a new product is allowed.
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
