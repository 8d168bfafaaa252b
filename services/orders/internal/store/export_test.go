package store

// The statements whose cost is tested.
var (
	CatalogueSQL    = catalogueSQL
	LockProductsSQL = lockProductsSQL
)

const (
	MoveStockSQL = moveStockSQL
	HeldSQL      = heldSQL
	PruneKeysSQL = pruneKeysSQL

	KeysSQL       = keysSQL
	OrderOfSQL    = orderOfSQL
	LinesOfSQL    = linesOfSQL
	TimelineOfSQL = timelineOfSQL
	ListUserSQL   = listUserSQL
	ListBothSQL   = listUserStatSQL
	LockOfSQL     = lockOrderOfSQL
)
