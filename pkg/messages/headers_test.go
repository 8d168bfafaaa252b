package messages_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pasdetrois/pkg/messages"
)

func headers(pairs ...string) []messages.Header {
	var list []messages.Header
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, messages.Header{Key: pairs[i], Value: []byte(pairs[i+1])})
	}
	return list
}

func decodeWith(t *testing.T, pairs ...string) messages.Message {
	t.Helper()
	r := with("")
	r.Partition, r.Offset, r.Headers = 3, 42, headers(pairs...)
	m, err := messages.Decode(r)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMessageIDComesFromTheBestSource(t *testing.T) {
	t.Parallel()
	const uuid = "018f2c5e-7d3a-7c3e-9b1a-0c6f3a2b1d4e"
	derived := decodeWith(t).ID
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(derived) {
		t.Errorf("derived id %q is no UUIDv5", derived)
	}
	for name, c := range map[string]struct {
		headers []string
		want    string
	}{
		"ce_id":                      {[]string{"ce_id", uuid}, uuid},
		"ce_id before watermill's":   {[]string{"_watermill_message_uuid", "w-1", "ce_id", uuid}, uuid},
		"watermill's":                {[]string{"_watermill_message_uuid", uuid}, uuid},
		"none":                       {nil, derived},
		"a counter without source":   {[]string{"ce_id", "1"}, derived},
		"watermill's counter":        {[]string{"_watermill_message_uuid", "5"}, derived},
		"empty":                      {[]string{"ce_id", "", "_watermill_message_uuid", ""}, derived},
		"ce_id malformed":            {[]string{"ce_id", "a\nb"}, derived},
		"ce_id no UTF-8":             {[]string{"ce_id", "\xff"}, derived},
		"ce_id too long":             {[]string{"ce_id", strings.Repeat("x", 129)}, derived},
		"own service":                {[]string{"ce_id", "m-1", "ce_source", "/pasdetrois/payments"}, "m-1"},
		"foreign source with a UUID": {[]string{"ce_id", uuid, "ce_source", "https://shop.example"}, uuid},
	} {
		if got := decodeWith(t, c.headers...).ID; got != c.want {
			t.Errorf("%s: id %q, want %q", name, got, c.want)
		}
	}
	// An id such as 1 is unique for its source only.
	a := decodeWith(t, "ce_id", "1", "ce_source", "https://a.example").ID
	b := decodeWith(t, "ce_id", "1", "ce_source", "https://b.example").ID
	again := decodeWith(t, "ce_id", "1", "ce_source", "https://a.example").ID
	if a == b || a != again || a == "1" {
		t.Errorf("ids of two sources: %s and %s, repeated %s", a, b, again)
	}
}

// A mirror or a restore gives a record another place. Its id stays, so what was sent for it is not sent again.
func TestDerivedIDSurvivesACopyToAnotherPlace(t *testing.T) {
	t.Parallel()
	base := with("")
	base.Partition, base.Offset = 1, 10
	id := func(change func(*messages.Record)) string {
		r := base
		change(&r)
		m, err := messages.Decode(r)
		if err != nil {
			t.Fatal(err)
		}
		return m.ID
	}
	original := id(func(*messages.Record) {})
	if copied := id(func(r *messages.Record) { r.Partition, r.Offset = 2, 11 }); copied != original {
		t.Errorf("the copy has id %s instead of %s", copied, original)
	}
	seen := map[string]string{original: "itself"}
	for name, change := range map[string]func(*messages.Record){
		"another time":               func(r *messages.Record) { r.Time = r.Time.Add(time.Hour) },
		"another value":              func(r *messages.Record) { r.Value = with(`,"x":1`).Value },
		"another key":                func(r *messages.Record) { r.Key = []byte("k") },
		"no time":                    func(r *messages.Record) { r.Time = time.Time{} },
		"no time, another offset":    func(r *messages.Record) { r.Time, r.Offset = time.Time{}, 11 },
		"Kafka's word for no time":   func(r *messages.Record) { r.Time, r.Offset = time.UnixMilli(-1), 12 },
		"no time, another partition": func(r *messages.Record) { r.Time, r.Partition = time.Time{}, 2 },
	} {
		got := id(change)
		if other, twice := seen[got]; twice {
			t.Errorf("%s and %s have the same id", name, other)
		}
		seen[got] = name
	}
}

func TestTimeComesFromTheBodyThenTheHeaderThenTheRecord(t *testing.T) {
	t.Parallel()
	record := time.Unix(1_700_000_000, 0).UTC()
	if got := decodeWith(t).Time; !got.Equal(record) || got.Location() != time.UTC {
		t.Errorf("record's time is %s", got)
	}
	if got := decodeWith(t, "ce_time", "2024-05-06T07:08:09+02:00").Time; !got.Equal(time.Date(2024, 5, 6, 5, 8, 9, 0, time.UTC)) || got.Location() != time.UTC {
		t.Errorf("header's time is %s", got)
	}
	if got := decodeWith(t, "ce_time", "yesterday").Time; !got.Equal(record) {
		t.Errorf("malformed header's time is %s", got)
	}
	r := with(`,"timestamp":"2023-01-01T00:00:00Z"`)
	r.Headers = headers("ce_time", "2024-05-06T07:08:09Z")
	if m, err := messages.Decode(r); err != nil || !m.Time.Equal(time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("body's time is %s, %v", m.Time, err)
	}
}

func TestTraceParentIsPassedOnWhenWellFormed(t *testing.T) {
	t.Parallel()
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for in, want := range map[string]string{
		good:                       good,
		good[:53] + "00":           good[:53] + "00",
		"01" + good[2:]:            good,
		"cc" + good[2:] + "-later": good,
		good + "-later":            "",
		good + "x":                 "",
		"01" + good[2:] + "later":  "",
		"ff" + good[2:]:            "",
		strings.ToUpper(good):      "",
		good[:54]:                  "",
		"":                         "",
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01": "",
		"00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01": "",
		"00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01": "",
	} {
		if got := decodeWith(t, "traceparent", in).TraceParent; got != want {
			t.Errorf("traceparent %q is passed on as %q, want %q", in, got, want)
		}
	}
}

func TestSourceIsTheServiceOrTheForeignProducer(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "/pasdetrois": "", "/pasdetrois/orders": "orders", "https://shop.example/x": "https://shop.example/x",
		"urn:shop": "urn:shop", "/pasdetrois/a/b": "/pasdetrois/a/b", "a\x00": "",
	} {
		m := decodeWith(t, "ce_source", in)
		if m.Source != want {
			t.Errorf("source %q is read as %q, want %q", in, m.Source, want)
		}
		roundTrip(t, m)
	}
}
