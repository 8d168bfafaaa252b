package messages

import (
	"strings"
	"time"
)

// The headers: CloudEvents 1.0 in binary mode, and W3C trace context.
const (
	headerSpecVersion = "ce_specversion"
	headerID          = "ce_id"
	headerType        = "ce_type"
	headerSource      = "ce_source"
	headerTime        = "ce_time"
	headerSubject     = "ce_subject"
	headerOrderTime   = "ce_ordertime"
	headerOutside     = "ce_outside"
	headerContentType = "content-type"
	headerTraceParent = "traceparent"
	// headerWatermillID is the header for the id in watermill's default marshaler.
	headerWatermillID = "_watermill_message_uuid"

	// SignatureHeader has the proof of the writer of events that are signed (Type.Signed).
	SignatureHeader = "pas-signature"

	specVersion  = "1.0"
	contentType  = "application/json"
	typePrefix   = "pasdetrois."
	typeSuffix   = ".v1"
	sourcePrefix = "/pasdetrois"
	isOutside    = "true"
)

// ceType returns the CloudEvents type of an event of this contract.
func ceType(event string) string { return typePrefix + event + typeSuffix }

// ceSource returns the CloudEvents source of a service: /pasdetrois/orders. A foreign producer's is kept as it is.
func ceSource(source string) string {
	switch {
	case source == "":
		return sourcePrefix
	case strings.ContainsAny(source, "/:"):
		return source
	}
	return sourcePrefix + "/" + source
}

// serviceOf is the reverse of ceSource.
func serviceOf(source string) string {
	if source == sourcePrefix {
		return ""
	}
	if name, ok := strings.CutPrefix(source, sourcePrefix+"/"); ok && name != "" && !strings.ContainsAny(name, "/:") {
		return name
	}
	return source
}

// headers has the values of a record's headers. A malformed header counts as absent, because headers are delivery metadata.
// The type is the exception: a malformed type is a type of another contract, and never counts as absent.
type headers struct {
	id, watermillID, typ, source, traceParent string
	sourced                                   bool // there is a ce_source
	outside                                   bool
	time, orderTime                           time.Time
}

// readHeaders reads the headers that the contract has, and ignores all others. The last one of a name counts, as for a reader
// that puts headers into a map. It never fails: a long or empty value is skipped.
func readHeaders(list []Header) headers {
	var h headers
	for i := range list {
		v := list[i].Value
		if list[i].Key == headerType && len(v) > 0 {
			h.setType(v)
			continue
		}
		if len(v) == 0 || len(v) > MaxIDLength*4 {
			continue
		}
		switch list[i].Key {
		case headerID:
			setName(&h.id, v)
		case headerWatermillID:
			setName(&h.watermillID, v)
		case headerSource:
			setName(&h.source, v)
		case headerTime:
			setTime(&h.time, v)
		case headerOrderTime:
			setTime(&h.orderTime, v)
		case headerOutside:
			h.outside = string(v) == isOutside
		case headerTraceParent:
			if t := traceParent(string(v)); t != "" {
				h.traceParent = t
			}
		}
	}
	h.sourced, h.source = h.source != "", serviceOf(h.source)
	return h
}

// unreadableType replaces a type that is no text, or too long.
const unreadableType = "?"

// setType keeps a type. A type that is no text, or too long, still shows that the producer means another contract's event.
func (h *headers) setType(v []byte) {
	h.typ = unreadableType
	if len(v) <= MaxIDLength*4 {
		setName(&h.typ, v)
	}
}

// setTime keeps a time that can be read, in any notation of the contract.
func setTime(to *time.Time, v []byte) {
	if t, ok := ParseTime(string(v)); ok {
		*to = t
	}
}

// setName keeps a text that is valid in a header.
func setName(to *string, v []byte) {
	s := string(v)
	if validName(s) == nil {
		*to = s
	}
}

// validName checks a text for a header. The rules are those for an id.
func validName(s string) error {
	var p problems
	p.id("it", s)
	return p.join()
}

// messageID returns the record's id: the header ce_id, else watermill's, else an id made of the record's content. Only a UUID is
// unique by itself. Any other id counts together with its source, and without a source it is ignored: two programs that
// both count from 1 must not make one message of two.
//
//	id               source             the message's id
//	a UUID           any, or none       the id
//	none             any, or none       recordID: topic, key, time, value
//	any other        none               recordID
//	any other        with a / or :      foreignID: source and id
//	any other        a service's name   the id
func (h *headers) messageID(r Record) string {
	id := h.id
	if id == "" {
		id = h.watermillID
	}
	switch {
	case isUUID(id):
		return id
	case id == "" || !h.sourced:
		return recordID(r)
	case strings.ContainsAny(h.source, "/:"):
		return foreignID(h.source, id)
	}
	return id // one of our own services gave it
}
