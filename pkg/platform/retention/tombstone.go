package retention

import "crypto/sha256"

// ID returns what a tombstone has of a key: the first 16 bytes of its SHA-256. Two keys share one by chance only after 2^64
// keys, and nobody can choose a key that shares one with another. Postgres keeps it as a uuid.
func ID(key string) [16]byte {
	sum := sha256.Sum256([]byte(key))
	return [16]byte(sum[:16])
}

// IDs returns the ID of each key.
func IDs(keys []string) [][16]byte {
	ids := make([][16]byte, len(keys))
	for i, key := range keys {
		ids[i] = ID(key)
	}
	return ids
}
