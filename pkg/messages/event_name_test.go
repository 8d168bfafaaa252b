package messages_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pasdetrois/pkg/messages"
)

// The table of topic, type and body: a record is acted on as an event only when its producer says so, or says nothing.
func TestARecordIsTheEventThatItsTypeAndBodySay(t *testing.T) {
	t.Parallel()
	const unknown, foreign = "unknown", messages.ReasonForeignType
	bodies := map[string]string{} // a valid body of each event, without the member event
	topicOf := map[string]string{}
	for _, typ := range messages.Registry() {
		body := string(read(t, goldenFile(typ.Name)))
		bodies[typ.Name] = strings.Replace(body, `"event":"`+typ.Name+`",`, "", 1)
		topicOf[typ.Name] = typ.Topic
	}
	var types []string
	for name := range bodies {
		types = append(types, "pasdetrois."+name+".v1", "pasdetrois."+name+".v2", "pasdetrois."+name, "PASDETROIS."+name+".V1", "com.example."+name+".v1")
	}
	types = append(types, "", "pasdetrois.", "pasdetrois..v1", "pasdetrois.order_shipped.v1", "com.example.order.cancelled.v1", "order_placed", "\xff", strings.Repeat("x", 2000))
	for _, topic := range messages.Topics() {
		for _, typ := range types {
			for name, body := range bodies {
				for _, inBody := range []string{"", name} {
					value := body
					if inBody != "" {
						value = `{"event":"` + name + `",` + body[1:]
					}
					want := topic.First
					known := strings.TrimSuffix(strings.TrimPrefix(typ, "pasdetrois."), ".v1")
					switch ours := strings.HasPrefix(strings.ToLower(typ), "pasdetrois."); {
					case ours && (typ != "pasdetrois."+known+".v1" || topicOf[known] != topic.Name):
						want = unknown
					case inBody != "" && topicOf[inBody] != topic.Name:
						want = unknown
					case inBody != "":
						want = inBody
					case ours:
						want = known
					case typ != "":
						want = foreign
					}
					r := messages.Record{Topic: topic.Name, Value: []byte(value), Headers: headers("ce_type", typ)}
					if got := eventOf(r); got != want && !(got == messages.ReasonInvalidMessage && want != unknown && want != foreign && want != name) {
						t.Errorf("topic %s, type %.40q, event %q, body of %s: %s, want %s", topic.Name, typ, inBody, name, got, want)
					}
				}
			}
		}
	}
}

// eventOf returns the event that r is read as, "unknown", or the reason of its refusal.
func eventOf(r messages.Record) string {
	m, err := messages.Decode(r)
	var bad *messages.DecodeError
	switch {
	case errors.As(err, &bad):
		return bad.Reason
	case err != nil:
		return "unknown"
	}
	return m.Event.EventName()
}

func TestTheRefusalOfAForeignTypeSaysWhatToWrite(t *testing.T) {
	t.Parallel()
	r := with("")
	r.Headers = headers("ce_type", "com.example.order.cancelled.v1")
	if reason, detail := reasonOf(t, r); reason != messages.ReasonForeignType ||
		!strings.Contains(detail, `"event":"order_placed"`) || !strings.Contains(detail, "pasdetrois.order_placed.v1") {
		t.Errorf("%s: %s", reason, detail)
	}
}

func TestAnnouncedIsWhatDecodeReads(t *testing.T) {
	t.Parallel()
	for _, typ := range messages.Registry() {
		r := readGolden(t, typ)
		if event, ok := messages.Announced(r); !ok || event != typ.Name {
			t.Errorf("%s is announced as %q, %v", typ.Name, event, ok)
		}
		for name, change := range map[string]func(r *messages.Record){
			"another topic":        func(r *messages.Record) { r.Topic = "elsewhere" },
			"no headers":           func(r *messages.Record) { r.Headers = nil },
			"another type":         func(r *messages.Record) { retype(r, "pasdetrois.order_praised.v1") },
			"another version":      func(r *messages.Record) { retype(r, "pasdetrois."+typ.Name+".v2") },
			"somebody else's type": func(r *messages.Record) { retype(r, "acme."+typ.Name+".v1") },
			"two types": func(r *messages.Record) {
				r.Headers = append(r.Headers, messages.Header{Key: "ce_type", Value: []byte("x")})
			},
			"another body": func(r *messages.Record) { r.Value = []byte(`{"event":"` + typ.Name + `_2","a":1}`) },
			"no body":      func(r *messages.Record) { r.Value = nil },
			"a space":      func(r *messages.Record) { r.Value = append([]byte(" "), r.Value...) },
		} {
			changed := r
			changed.Headers = slices.Clone(r.Headers)
			change(&changed)
			if event, ok := messages.Announced(changed); ok {
				t.Errorf("%s with %s is announced as %q", typ.Name, name, event)
			}
		}
	}
}

func retype(r *messages.Record, to string) {
	for i := range r.Headers {
		if r.Headers[i].Key == "ce_type" {
			r.Headers[i].Value = []byte(to)
		}
	}
}
