package messages

// The scopes of the services' HTTP APIs: names in the claim "scope" of a caller's token (RFC 9068).
const (
	ScopeWrite   = "orders:write"    // place orders, and cancel one's own
	ScopeRead    = "orders:read"     // read one's own orders, payments and notifications
	ScopeReadAll = "orders:read:all" // read everybody's
	ScopeAdmin   = "admin"           // everything
)
