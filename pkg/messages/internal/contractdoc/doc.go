// Package contractdoc writes the contract down for people and tools outside Go: one JSON Schema per event and one
// AsyncAPI document for all. Both are made of the Go types of package messages (their `wire` tags) and its registry, so
// they cannot say something else than the code does.
//
// The schemas describe what a producer may write. What is written by the services is a part of that: ids are text,
// amounts are numbers, the timestamp is RFC 3339. Some rules are beyond a schema: how many decimals an amount may have
// depends on the currency, a sku may stand on one line only.
package contractdoc
