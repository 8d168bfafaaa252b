package rest

import (
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/messages"
)

// recordView is a record as an answer shows it.
type recordView struct {
	Topic     string `json:"topic"`
	Key       any    `json:"key"`
	Value     any    `json:"value"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// shown returns the answer's records, the number of skipped records, and the first of these; nil when there is none.
func (i *instance) shown() (records []*kgo.Record, skipped int, first *kgo.Record) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, it := range i.answer {
		switch {
		case !it.skipped:
			records = append(records, it.record)
		case first == nil:
			first = it.record
			fallthrough
		default:
			skipped++
		}
	}
	return records, skipped, first
}

// view returns one record as the format shows it. Headers and time have no place in the API.
func (f format) view(r *kgo.Record) recordView {
	v := recordView{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
	if f == formatJSON {
		v.Key, v.Value = jsonKey(r.Key), embedded(r.Value)
	} else {
		v.Key, v.Value = inBase64(r.Key), inBase64(r.Value)
	}
	return v
}

// isJSON reports whether a value can be embedded in an answer: JSON in UTF-8, or no value, which is embedded as null. A
// byte order mark in front is ignored, as the services ignore it.
func isJSON(value []byte) bool {
	value = messages.WithoutByteOrderMark(value)
	return value == nil || json.Valid(value) && utf8.Valid(value)
}

// embedded returns a value for an answer without decoding it, so that numbers keep all their digits.
func embedded(value []byte) any {
	if value == nil {
		return nil
	}
	return json.RawMessage(messages.WithoutByteOrderMark(value))
}

// jsonKey embeds a key that is JSON, else the key as text: most keys are bare ids, and a record must not be skipped for
// its key. A key that is not text is embedded in base64.
func jsonKey(key []byte) any {
	switch {
	case isJSON(key):
		return embedded(key)
	case utf8.Valid(key):
		return string(key)
	default:
		return inBase64(key)
	}
}

// inBase64 returns bytes in base64, and null for a missing key or value.
func inBase64(b []byte) any {
	if b == nil {
		return nil
	}
	return base64.StdEncoding.EncodeToString(b)
}
