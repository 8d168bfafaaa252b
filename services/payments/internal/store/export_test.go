package store

// The statements whose cost is tested.
const (
	PaymentOfSQL  = paymentOfSQL
	ListOfUserSQL = listOfUserSQL
)
