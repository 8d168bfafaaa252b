package crash

// books is everything that is written down anywhere when a run is over.
type books struct {
	Orders        []orderRow
	Steps         []stepRow
	Payments      []paymentRow
	Ledger        []ledgerRow
	Notifications []notificationRow
	Stock         []stockRow
	Emails        []email
	Messages      []record
	Left          []leftover
}

type orderRow struct {
	ID         string `db:"order_id"`
	UserID     string
	Status     string
	Reason     string
	TotalMinor int64
	PaymentID  string
}

// stepRow is one change in an order's timeline.
type stepRow struct {
	ID     string `db:"order_id"`
	Number int64
	From   string `db:"status_from"`
	To     string `db:"status_to"`
}

type paymentRow struct {
	ID          string `db:"order_id"`
	Status      string
	Reason      string
	AmountMinor int64
	PaymentID   string
}

// ledgerRow is an entry in the provider's own books.
type ledgerRow struct {
	ID          string `db:"order_id"`
	Status      string
	AmountMinor int64
	PaymentID   string
	ChargeCalls int
}

type notificationRow struct {
	ID        string `db:"order_id"`
	Kind      string
	Status    string
	Recipient string
}

type stockRow struct {
	SKU                                string
	Available, Reserved, Sold, Stocked int64
}

// email is an email as the mail server took it.
type email struct {
	To, OrderID, Kind, MessageID string
}

// record is one committed record in Kafka.
type record struct {
	Topic, Event, OrderID string
	Kind                  string // of a notification
	PaymentID             string
	MessageID             string
	Body                  string
}

// leftover is work that somebody still has, or gave up: none may be left.
type leftover struct {
	What  string
	Count int64
}

// tally is what a run is summed up in.
type tally struct {
	Outcomes                           map[string]int
	ChargedMinor, RefundedMinor        int64
	Charges, Refunds, Declined         int
	ChargesAskedAgain                  int // under the same key: work that was cut off and done again
	Messages, MessagesAgain            int
	NotificationsSent, Emails, Repeats int
	Superseded                         int
	ConfirmedMinor                     int64
	Sold, ConfirmedPieces              int64
}
