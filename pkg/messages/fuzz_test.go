package messages_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pasdetrois/pkg/messages"
)

// FuzzDecode: no bytes make the decoder panic, every refusal has a reason, and what is accepted is valid, can be
// written, and is read again as the same.
func FuzzDecode(f *testing.F) {
	topics := messages.Topics()
	add := func(topic string, value []byte) {
		for i, t := range topics {
			if t.Name == topic {
				f.Add(uint8(i), value, "m-1", "/pasdetrois/orders", "2024-01-02T03:04:05Z", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
				f.Add(uint8(i), value, "", "https://shop.example", "", "")
			}
		}
	}
	for _, typ := range messages.Registry() {
		add(typ.Topic, read(f, goldenFile(typ.Name)))
	}
	files, err := filepath.Glob("testdata/foreign/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no foreign messages", err)
	}
	for _, file := range files {
		value, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, topic := range topics {
			add(topic.Name, value)
		}
	}
	f.Fuzz(func(t *testing.T, topic uint8, value []byte, id, source, at, trace string) {
		r := messages.Record{
			Topic: topics[int(topic)%len(topics)].Name, Partition: 1, Offset: 2, Value: value, Time: time.Unix(1_700_000_000, 0),
			Headers: headers("ce_id", id, "ce_source", source, "ce_time", at, "traceparent", trace),
		}
		m, err := messages.Decode(r)
		if err != nil {
			var bad *messages.DecodeError
			if errors.Is(err, messages.ErrUnknownEvent) == errors.As(err, &bad) || (bad != nil && (bad.Reason == "" || bad.Detail == "")) {
				t.Fatalf("error %v is neither a refusal nor an unknown event", err)
			}
			return
		}
		if err := m.Event.Validate(); err != nil {
			t.Fatalf("%s is read as an invalid event: %v", value, err)
		}
		if m.ID == "" || m.Event.Topic() != r.Topic || m.Time.IsZero() {
			t.Fatalf("read as %+v", m)
		}
		if again, err := messages.Decode(r); err != nil || again.ID != m.ID {
			t.Fatalf("read again with id %s instead of %s, %v", again.ID, m.ID, err)
		}
		m.Time = m.Time.Truncate(time.Microsecond) // we write six digits
		roundTrip(t, m)
	})
}
