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
)
