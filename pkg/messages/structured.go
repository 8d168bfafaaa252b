package messages

import (
	"encoding/base64"
	"mime"
	"strings"
)

// The media types of CloudEvents 1.0, JSON event format. A batch carries several events in one record.
const (
	mediaStructured = "application/cloudevents+json"
	mediaBatch      = "application/cloudevents-batch+json"
)

// envelope is a CloudEvent in structured mode: its attributes and its data are members of one JSON object, the record's value.
type envelope struct {
	attributes []Header // those that have a header in binary mode, under that header's name
	version    value
	data       value
	base64     value
}

// open returns the values of the record's headers. When the body is a CloudEvent in structured mode, open replaces it by the
// event's data, and the event's attributes win over headers. (CloudEvents 1.0, Kafka protocol binding, 3.3.)
func (b *body) open(list []Header) (headers, error) {
	media := mediaType(list)
	switch {
	case media == mediaBatch:
		return headers{}, &DecodeError{ReasonInvalidMessage, "the record is a batch of CloudEvents: write one event to a record"}
	case media == mediaStructured, b.wrapped && b.f[fOrderID].kind == absent && b.f[fUserID].kind == absent:
		// Some SDKs label a structured event application/json, Python's v1 among them. Its members identify it.
	default:
		return readHeaders(list), nil
	}
	var e envelope
	s := scanner{s: b.source, most: b.limits.depth}
	s.space()
	if err := s.object(e.set); err != nil {
		return headers{}, err
	}
	if e.version.kind != text || e.version.s != specVersion {
		return headers{}, &DecodeError{ReasonInvalidMessage, "specversion must be \"1.0\" in a CloudEvent in structured mode"}
	}
	raw, err := e.payload()
	if err != nil {
		return headers{}, err
	}
	*b = body{limits: b.limits}
	if err := b.scan(raw); err != nil {
		return headers{}, err
	}
	// Attributes come last, and the last header of a name counts.
	return readHeaders(append(list[:len(list):len(list)], e.attributes...)), nil
}

// payload returns the event's data as JSON text.
func (e *envelope) payload() ([]byte, error) {
	switch {
	case e.data.kind == object:
		return []byte(e.data.s), nil
	case e.data.kind == absent && e.base64.kind == text:
		raw, err := base64.StdEncoding.DecodeString(e.base64.s)
		if err != nil {
			return nil, &DecodeError{ReasonInvalidMessage, "data_base64 must be base64"}
		}
		return raw, nil
	case e.data.kind == absent || e.data.kind == null:
		return nil, &DecodeError{ReasonInvalidMessage, "the CloudEvent has no data"}
	}
	return nil, &DecodeError{ReasonInvalidMessage, "data must be an object, not " + e.data.kind.String()}
}

// set keeps a member of the envelope.
func (e *envelope) set(key string, v value) {
	switch key {
	case "specversion":
		e.version = v
	case "data":
		e.data = v
	case "data_base64":
		e.base64 = v
	case "id", "type", "source", "time", "ordertime":
		e.attribute("ce_"+key, v)
	case headerTraceParent: // the distributed tracing extension
		e.attribute(key, v)
	}
}

func (e *envelope) attribute(header string, v value) {
	if v.kind == text {
		e.attributes = append(e.attributes, Header{Key: header, Value: []byte(v.s)})
	}
}

// mediaType returns the content type that the headers name, in lower case and without parameters.
func mediaType(list []Header) string {
	for i := len(list) - 1; i >= 0; i-- {
		if !strings.EqualFold(list[i].Key, headerContentType) {
			continue
		}
		v := string(list[i].Value)
		if v == contentType { // by far the most frequent
			return v
		}
		if media, _, err := mime.ParseMediaType(v); err == nil {
			return media
		}
		media, _, _ := strings.Cut(v, ";")
		return strings.ToLower(strings.TrimSpace(media))
	}
	return ""
}
