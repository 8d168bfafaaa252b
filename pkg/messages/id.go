package messages

import (
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// namespace is the UUIDv5 namespace of all derived message ids: UUIDv5(namespace URL, "pasdetrois/messages/v1"). It is
// part of the contract: with another one, repetitions would be new messages.
const namespace = "\x4f\x8c\x57\x90\xf8\xa7\x55\xeb\x96\x3c\x92\xe1\x3f\xe9\xc9\xfc"

// ID returns the deterministic message id: UUIDv5 of (order id, event, step), joined by line feeds. The same decision
// always has the same id, so readers recognise a message that is published again after a crash. step names the decision where
// one event can have several, e.g. the kind of a notification.
func ID(orderID, event, step string) string {
	return uuid5(orderID + "\n" + event + "\n" + step)
}

// recordID returns the id of a record that carries none: its topic, key, time and value decide. A mirrored or restored record
// has another partition and offset. Its place is therefore no part of the id, and reading the copy repeats nothing. Two equal
// records of one millisecond are therefore one message. A record without a time counts by its place as well.
func recordID(r Record) string {
	name := make([]byte, 0, 128)
	name = append(name, "record\n"...)
	name = append(name, r.Topic...)
	name = append(name, '\n')
	if r.Time.IsZero() || r.Time.UnixMilli() < 0 { // Kafka writes -1 for a record without a time
		name = strconv.AppendInt(name, int64(r.Partition), 10)
		name = append(name, '/')
		name = strconv.AppendInt(name, r.Offset, 10)
	} else {
		name = strconv.AppendInt(name, r.Time.UnixMilli(), 10)
	}
	name = append(name, '\n')
	name = strconv.AppendInt(name, int64(len(r.Key)), 10)
	name = append(name, '\n')
	name = append(name, r.Key...)
	sum := sha256.Sum256(r.Value)
	return uuid5(string(append(name, sum[:]...)))
}

// foreignID returns the id of a CloudEvent whose own id is unique only for its source.
func foreignID(source, id string) string { return uuid5("foreign\n" + source + "\n" + id) }

// uuid5 returns the name-based UUID of RFC 9562, section 5.5.
func uuid5(name string) string {
	h := sha1.New() //nolint:gosec // UUIDv5 is made with SHA-1: it identifies, it protects nothing.
	h.Write([]byte(namespace))
	h.Write([]byte(name))
	var sum [sha1.Size]byte
	h.Sum(sum[:0])
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[0:8], sum[0:4])
	hex.Encode(text[9:13], sum[4:6])
	hex.Encode(text[14:18], sum[6:8])
	hex.Encode(text[19:23], sum[8:10])
	hex.Encode(text[24:36], sum[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// isUUID reports whether s is the text form of a UUID.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch i {
		case 8, 13, 18, 23:
			if s[i] != '-' {
				return false
			}
		default:
			c := s[i] | 0x20
			if !isDigit(s[i]) && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

// NewTraceParent returns a W3C traceparent header that starts a new, sampled trace with random ids. Message.Record
// calls it for a message that belongs to no trace yet.
func NewTraceParent() string {
	var id [24]byte
	_, _ = rand.Read(id[:]) // never fails
	id[0] |= 1              // neither id may be all zeros
	id[16] |= 1
	return "00-" + hex.EncodeToString(id[:16]) + "-" + hex.EncodeToString(id[16:]) + "-01"
}

// traceParent returns the traceparent header s in version 00, or "" when it is malformed and must be ignored. A later
// version of the header keeps its first four fields, as the W3C recommendation demands.
func traceParent(s string) string {
	const size = 55
	if len(s) < size || (len(s) > size && (s[:2] == "00" || s[size] != '-')) || s[:2] == "ff" {
		return ""
	}
	traceZero, spanZero := true, true
	for i := range size {
		switch c := s[i]; {
		case i == 2 || i == 35 || i == 52:
			if c != '-' {
				return ""
			}
		case !isDigit(c) && (c < 'a' || c > 'f'):
			return ""
		case i > 2 && i < 35:
			traceZero = traceZero && c == '0'
		case i > 35 && i < 52:
			spanZero = spanZero && c == '0'
		}
	}
	if traceZero || spanZero {
		return ""
	}
	return "00" + s[2:size]
}
