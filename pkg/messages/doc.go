// Package messages is the contract between the services: the events, their topics, and how they are written on Kafka.
//
// Decode is tolerant and Record is exact. Decode accepts every plain form of a message: ids as integers, no key, no headers,
// no `event`. It rejects a record that has more than one meaning, with a stable reason (DecodeError). Record writes one form
// only: exact decimals, ids as text, fields in a fixed order, CloudEvents and trace headers. A message that Decode returned
// is valid, can be written, and is then read as the same message.
//
//	Record --Decode--> Message (valid)       ErrUnknownEvent: acknowledge     *DecodeError: park
//	Message --Record--> Record
//
// Functions use their arguments, the clock and random trace ids, and no other state, so they are safe for concurrent use.
//
// Version 1 only grows. The files under testdata/ are messages that were written and accepted once. They are never changed,
// and the tests of the registry hold every type to them. docs/contract.md is the contract for people, docs/schema and
// docs/asyncapi.json for tools; those are made by cmd/contractdoc.
//
// An event is declared twice: its type with wire tags in events.go, and its row in registry.go. `make generate` writes the
// rest: codec_gen.go, which decodes, encodes and validates, and the documents. Then
//
//	go test ./pkg/messages -update
//
// adds its golden file, and docs/contract.md gets a section. A field is a line in the type and, when its name is new, a
// description in internal/contractdoc. The tests name every missing step.
package messages
