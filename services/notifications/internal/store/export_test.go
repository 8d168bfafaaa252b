package store

// The statements whose cost is tested.
const (
	ListOwnSQL   = listOwnSQL
	ListOwnOfSQL = listOwnOfSQL
)
