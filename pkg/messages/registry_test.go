package messages_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pasdetrois/pkg/messages"
)

// The package's source, so that a type that was added and forgotten elsewhere is found.
func declared(t *testing.T) (events map[string]bool, names, topics map[string]string) {
	t.Helper()
	events, names, topics = map[string]bool{}, map[string]string{}, map[string]string{}
	entries, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range entries {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil && d.Name.Name == "EventName" {
					events[d.Recv.List[0].Type.(*ast.Ident).Name] = true
				}
			case *ast.GenDecl:
				constants(d, names, topics)
			}
		}
	}
	return events, names, topics
}

// constants notes those called Event… and Topic… with their values.
func constants(d *ast.GenDecl, names, topics map[string]string) {
	for _, spec := range d.Specs {
		v, ok := spec.(*ast.ValueSpec)
		if !ok || d.Tok != token.CONST || len(v.Values) != 1 {
			continue
		}
		lit, ok := v.Values[0].(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			continue
		}
		s, _ := strconv.Unquote(lit.Value)
		if n := v.Names[0].Name; strings.HasPrefix(n, "Event") {
			names[n] = s
		} else if strings.HasPrefix(n, "Topic") {
			topics[n] = s
		}
	}
}

func TestEveryTypeIsRegistered(t *testing.T) {
	t.Parallel()
	events, names, topics := declared(t)
	if len(events) < 8 || len(names) < 8 || len(topics) < 4 {
		t.Fatalf("found only %v, %v, %v", events, names, topics)
	}
	for _, typ := range messages.Registry() {
		goName := reflect.TypeOf(typ.Example).Name()
		if !events[goName] {
			t.Errorf("%s: %s is no event type, or registered twice", typ.Name, goName)
		}
		delete(events, goName)
		if names["Event"+goName] != typ.Name {
			t.Errorf("%s: Event%s is %q", typ.Name, goName, names["Event"+goName])
		}
		delete(names, "Event"+goName)
	}
	for name := range events {
		t.Errorf("type %s is an event but not in the registry", name)
	}
	for name := range names {
		t.Errorf("constant %s has no type in the registry", name)
	}
	for _, topic := range messages.Topics() {
		maps.DeleteFunc(topics, func(_, v string) bool { return v == topic.Name })
	}
	for name := range topics {
		t.Errorf("constant %s is no topic of Topics", name)
	}
}

func TestEveryTypeKeepsItsPromises(t *testing.T) {
	t.Parallel()
	services := messages.Services()
	topics := map[string]messages.Topic{}
	for _, topic := range messages.Topics() {
		topics[topic.Name] = topic
	}
	for _, typ := range messages.Registry() {
		t.Run(typ.Name, func(t *testing.T) {
			t.Parallel()
			if typ.Example.EventName() != typ.Name || typ.Example.Topic() != typ.Topic {
				t.Errorf("the type says %s on %s", typ.Example.EventName(), typ.Example.Topic())
			}
			order, key := "ord-1001", "ord-1001"
			if typ.Name == messages.EventInventoryChanged {
				order, key = "", "ballet-shoes"
			}
			if typ.Example.Order() != order || typ.Example.Key() != key {
				t.Errorf("the type says key %q of order %q", typ.Example.Key(), typ.Example.Order())
			}
			topic, known := topics[typ.Topic]
			if !known || topic.Partitions < 1 || typ.Summary == "" {
				t.Errorf("topic %q, summary %q", typ.Topic, typ.Summary)
			}
			for _, s := range append(append([]string{typ.Owner}, typ.Others...), typ.Consumers...) {
				if !slices.Contains(services, s) {
					t.Errorf("%q is no service", s)
				}
			}
			if typ.Foreign && topic.First != typ.Name {
				t.Error("foreign producers write the first event of a topic only")
			}
			if err := typ.Example.Validate(); err != nil {
				t.Errorf("the example is invalid: %v", err)
			}
			if v := reflect.New(reflect.TypeOf(typ.Example)).Elem().Interface().(messages.Event); v.Validate() == nil {
				t.Error("an empty body is valid")
			}
			full(t, reflect.ValueOf(typ.Example))

			r := readGolden(t, typ)
			got, err := messages.Decode(r)
			if err != nil {
				t.Fatalf("the golden file cannot be read: %v", err)
			}
			if !reflect.DeepEqual(got.Event, typ.Example) || got.Source != typ.Owner {
				t.Errorf("the golden file is read as %+v of %q", got.Event, got.Source)
			}
			if string(r.Key) != got.Event.Key() {
				t.Errorf("key %s", r.Key)
			}
			roundTrip(t, got)
			refusals(t, typ, r)
		})
	}
}

// full checks that an example leaves no field empty, so that no field goes untested. A deprecated field is one of earlier golden
// files only.
func full(t *testing.T, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if deprecated := isDeprecated(field.Tag.Get("wire")); v.Field(i).IsZero() != deprecated {
			t.Errorf("%s: the example has it: %v, and it is deprecated: %v", field.Name, !v.Field(i).IsZero(), deprecated)
		}
		if f := v.Field(i); f.Kind() == reflect.Slice {
			full(t, f.Index(0))
		}
	}
}

func isDeprecated(tag string) bool { return slices.Contains(strings.Split(tag, ","), "deprecated") }

// wireFields returns the names in the wire tags of an event, whether each is required, and which of them are lenient or deprecated.
func wireFields(t *testing.T, typ reflect.Type) (fields, lenient, deprecated map[string]bool) {
	t.Helper()
	fields, lenient, deprecated = map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range typ.NumField() {
		tag := typ.Field(i).Tag.Get("wire")
		if tag == "" {
			t.Errorf("%s.%s has no wire tag", typ, typ.Field(i).Name)
		}
		if parts := strings.Split(tag, ","); parts[0] != "-" {
			fields[parts[0]] = !slices.Contains(parts, "optional")
			lenient[parts[0]] = slices.Contains(parts, "lenient")
			deprecated[parts[0]] = isDeprecated(tag)
		}
	}
	return fields, lenient, deprecated
}

// refusals breaks the golden body member by member: what is required must be there, and nothing may be of another kind.
func refusals(t *testing.T, typ messages.Type, golden messages.Record) {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(golden.Value, &members); err != nil {
		t.Fatal(err)
	}
	decode := func(change func(map[string]json.RawMessage)) (messages.Message, error) {
		body := maps.Clone(members)
		change(body)
		value, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return messages.Decode(messages.Record{Topic: golden.Topic, Value: value, Headers: golden.Headers})
	}
	fields, lenient, deprecated := wireFields(t, reflect.TypeOf(typ.Example))
	for name, required := range fields {
		if members[name] == nil && !deprecated[name] {
			t.Errorf("the golden file has no %s", name)
		}
		_, err := decode(func(b map[string]json.RawMessage) { delete(b, name) })
		if required != (err != nil) {
			t.Errorf("without %s (required: %v): %v", name, required, err)
		}
		for _, wrong := range []string{`{}`, `true`, `[[]]`} {
			m, err := decode(func(b map[string]json.RawMessage) { b[name] = json.RawMessage(wrong) })
			if lenient[name] {
				without, _ := decode(func(b map[string]json.RawMessage) { delete(b, name) })
				if err != nil || !reflect.DeepEqual(m.Event, without.Event) {
					t.Errorf("%s may not be %s: %v", name, wrong, err)
				}
			} else if err == nil {
				t.Errorf("%s may be %s: %+v", name, wrong, m.Event)
			}
		}
	}
	for name := range members {
		if _, known := fields[name]; !known && name != "event" && name != "timestamp" && name != "currency" {
			t.Errorf("%s is written but has no wire tag", name)
		}
	}
	if m, err := decode(func(b map[string]json.RawMessage) { b["added_later"] = json.RawMessage(`{"x":[1]}`) }); err != nil || !reflect.DeepEqual(m.Event, typ.Example) {
		t.Errorf("with a field of a later version: %+v, %v", m.Event, err)
	}
	if !bytes.HasPrefix(golden.Value, []byte(`{"event":"`+typ.Name+`",`)) || !bytes.Contains(golden.Value, []byte(`,"timestamp":"`)) {
		t.Errorf("event is not first or timestamp not last: %s", golden.Value)
	}
}

func TestTheTableAnswersWhoReadsWhat(t *testing.T) {
	t.Parallel()
	var groups []string
	for _, g := range messages.Groups() {
		groups = append(groups, g.String())
	}
	want := []string{"orders.orders", "orders.payments", "orders.order-failures", "payments.payments", "notifications.notifications"}
	if !slices.Equal(groups, want) {
		t.Errorf("the groups are %v", groups)
	}
	if got := messages.Consumers(messages.TopicPayments); !slices.Equal(got, []string{"orders", "payments"}) {
		t.Errorf("the consumers of payments are %v", got)
	}
	if got := messages.Consumers("unheard of"); len(got) > 0 {
		t.Errorf("an unknown topic has consumers: %v", got)
	}
	for _, typ := range messages.Registry() {
		for _, service := range messages.Services() {
			if messages.Consumes(service, typ.Name) != typ.ConsumedBy(service) {
				t.Errorf("%s and %s", service, typ.Name)
			}
			if typ.ConsumedBy(service) && !slices.Contains(messages.Consumers(typ.Topic), service) {
				t.Errorf("%s acts on %s and does not read %s", service, typ.Name, typ.Topic)
			}
		}
	}
	if messages.Consumes("orders", "unheard_of") || messages.Settled("pending") || !messages.Settled("cancelled") {
		t.Error("an answer is wrong")
	}
}
