// Package signing proves which service published an event that moves money.
//
// The contract's table (messages.Registry) says which events are signed, and by which service: the owner of the event. A service
// with a key signs each such record when it publishes it. A reader with trusted keys parks a record of such an event unless a key
// of the owner signed it. Without keys nothing is signed and nothing is checked.
//
// # What is signed
//
// The signature binds all that a reader acts on: topic, key and body of the record, and the headers ce_id, ce_type, ce_source and
// ce_outside. Each part has its length in front, so no byte can move from one part to the next. A signature stays
// valid when traceparent, ce_time or Kafka's time of the record changes; the body's timestamp is bound.
//
// # Batches
//
// An Ed25519 signature costs as much as several records. So what the dispatcher publishes for one batch shares signatures, and so do the
// rows that an outbox publishes by one call. The digests of the records are the leaves of a hash tree, and the signature is about the root:
//
//	       root  <- signed once
//	      /    \
//	    a        b
//	  /   \     /  \
//	r0     r1  r2   0     a record that is published alone is the root itself
//
// The header of r0 has the signature and r0's path: r1, then b. A reader computes the root from the record and its path. It checks
// the signature of a root once. Leaves and nodes are hashed with different first bytes, so neither passes for the other.
//
// # The header
//
//	pas-signature: v=1; keyid=5f2c0a1b9d3e4f60; sig=BASE64; at=0; path=BASE64
//
// keyid is the start of the SHA-256 of the public key. at is the record's place among the leaves. A record that was signed alone
// has neither at nor path. A bound header, and the signature's own, stands once in a signed record.
package signing
