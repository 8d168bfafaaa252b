package messages

// SKELETON: signatures fixed, bodies to be written in money.go, validate.go, decode.go, encode.go, id.go.

// DefaultCurrency is assumed when a message names none.
const DefaultCurrency = "USD"

// Money is an exact amount: Minor units (cents for USD) of an ISO 4217 Currency.
type Money struct {
	Minor    int64
	Currency string
}

// ParseMoney reads a decimal number such as "49.99" exactly (a float's noise within 1e-6 of a minor unit is rounded).
func ParseMoney(decimal, currency string) (Money, error) { panic("skeleton") }

// Decimal returns the amount as on the wire: "49.99".
func (m Money) Decimal() string { panic("skeleton") }

// String returns "49.99 USD".
func (m Money) String() string { panic("skeleton") }

// ID returns the deterministic message id: UUIDv5 of (order id, event, step).
func ID(orderID, event, step string) string { panic("skeleton") }

// Record encodes m for Kafka: key, body and headers. It validates first.
func (m Message) Record() (Record, error) { panic("skeleton") }

// Decode reads a record of one of the four topics, tolerantly. Its error is a *DecodeError or wraps ErrUnknownEvent.
func Decode(r Record) (Message, error) { panic("skeleton") }

// DecodeError says why a record cannot be understood: Reason is a stable code, Detail is for people.
type DecodeError struct {
	Reason string
	Detail string
}

func (e *DecodeError) Error() string { panic("skeleton") }

func (OrderPlaced) Validate() error           { panic("skeleton") }
func (PaymentRequested) Validate() error      { panic("skeleton") }
func (PaymentCaptured) Validate() error       { panic("skeleton") }
func (RefundRequested) Validate() error       { panic("skeleton") }
func (PaymentRefunded) Validate() error       { panic("skeleton") }
func (NotificationRequested) Validate() error { panic("skeleton") }
func (OrderRejected) Validate() error         { panic("skeleton") }
func (PaymentFailed) Validate() error         { panic("skeleton") }
