package contractdoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"pasdetrois/pkg/messages"
)

// Schema is the part of JSON Schema 2020-12 that the contract needs. All of it means the same in draft 07, which is
// what AsyncAPI tools read.
type Schema struct {
	Dialect     string      `json:"$schema,omitempty"`
	ID          string      `json:"$id,omitempty"`
	Ref         string      `json:"$ref,omitempty"`
	Title       string      `json:"title,omitempty"`
	Description string      `json:"description,omitempty"`
	Deprecated  bool        `json:"deprecated,omitempty"` // draft 07 ignores it
	Type        any         `json:"type,omitempty"`       // a name or a list of names
	Const       string      `json:"const,omitempty"`
	Default     string      `json:"default,omitempty"`
	Pattern     string      `json:"pattern,omitempty"`
	Format      string      `json:"format,omitempty"`
	MinLength   int         `json:"minLength,omitempty"`
	MaxLength   int         `json:"maxLength,omitempty"`
	Minimum     *int64      `json:"minimum,omitempty"`
	Above       *int64      `json:"exclusiveMinimum,omitempty"`
	Maximum     *int64      `json:"maximum,omitempty"`
	MinItems    int         `json:"minItems,omitempty"`
	MaxItems    int         `json:"maxItems,omitempty"`
	Items       *Schema     `json:"items,omitempty"`
	Properties  Properties  `json:"properties,omitempty"`
	Required    []string    `json:"required,omitempty"`
	AnyOf       []*Schema   `json:"anyOf,omitempty"`
	Examples    []RawObject `json:"examples,omitempty"`
}

// RawObject is JSON that stands in the document as it is.
type RawObject = json.RawMessage

// Properties are the members of an object, in the order of the message.
type Properties []Property

// Property is one member of an object.
type Property struct {
	Name   string
	Schema *Schema
}

// MarshalJSON keeps the order.
func (p Properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(m.Name)
		if err != nil {
			return nil, err
		}
		s, err := compact(m.Schema)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(s)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// schemaOf returns the schema of one event's body.
func schemaOf(t messages.Type) (*Schema, error) {
	s, err := objectOf(reflect.TypeOf(t.Example))
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", t.Name, err)
	}
	s.Title = t.Name
	s.Description = t.Summary
	event := &Schema{Const: t.Name, Description: "The name of the event."}
	first := firstOf(t)
	if first {
		event.Description += " May be missing: it is the first event of topic " + t.Topic + "."
	} else {
		s.Required = append([]string{"event"}, s.Required...)
	}
	s.Properties = append(Properties{{"event", event}}, s.Properties...)
	s.Properties = append(s.Properties, Property{"timestamp", &Schema{
		Type: []string{"string", "number"}, MaxLength: 40, Minimum: ptr(0),
		Description: "When it happened: RFC 3339 (without an offset: UTC), or seconds since 1970. Missing: the record's time.",
	}})
	if t.Name == messages.EventOrderPlaced {
		s.AnyOf = []*Schema{{Required: []string{"total"}}, {Required: []string{"items"}, Properties: Properties{{"items", &Schema{MinItems: 1}}}}}
	}
	return s, nil
}

// firstOf reports whether t is its topic's first event.
func firstOf(t messages.Type) bool {
	for _, topic := range messages.Topics() {
		if topic.Name == t.Topic {
			return topic.First == t.Name
		}
	}
	return false
}

// objectOf returns the schema of a struct with wire tags.
func objectOf(t reflect.Type) (*Schema, error) {
	s := &Schema{Type: "object"}
	hasMoney := false
	for i := range t.NumField() {
		field := t.Field(i)
		tag, ok := field.Tag.Lookup("wire")
		if !ok {
			return nil, fmt.Errorf("%s.%s has no wire tag", t, field.Name)
		}
		if tag == "-" {
			continue
		}
		parts := strings.Split(tag, ",")
		if len(parts) < 2 {
			return nil, fmt.Errorf("%s.%s: the wire tag %q names no kind", t, field.Name, tag)
		}
		name, kind, options := parts[0], parts[1], parts[2:]
		v, err := valueOf(name, kind, field.Type)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t, field.Name, err)
		}
		optional := false
		for _, o := range options {
			switch o {
			case "optional":
				optional = true
			case "lenient": // it says how a value that breaks this schema is read
			case "deprecated":
				v.Deprecated = true
				v.Description += " Written by earlier versions only."
			case "positive":
				v.Minimum, v.Above = nil, ptr(0)
			default:
				return nil, fmt.Errorf("%s.%s: unknown option %q", t, field.Name, o)
			}
		}
		if !optional && kind == "code" {
			v.MinLength = 1
		}
		if !optional {
			s.Required = append(s.Required, name)
		}
		s.Properties = append(s.Properties, Property{name, v})
		if field.Type == reflect.TypeFor[messages.Money]() && !hasMoney {
			hasMoney = true
			s.Properties = append(s.Properties, Property{"currency", currency()})
		}
	}
	return s, nil
}

// valueOf returns the schema of one field by the kind in its tag.
func valueOf(name, kind string, t reflect.Type) (*Schema, error) {
	s := &Schema{Description: describe(name)}
	if s.Description == "" {
		return nil, fmt.Errorf("no description of %q", name)
	}
	switch kind {
	case "id":
		s.Type, s.MinLength, s.MaxLength, s.Pattern = []string{"string", "integer"}, 1, messages.MaxIDLength, oneLine
	case "name":
		s.Type, s.MaxLength, s.Pattern = "string", messages.MaxIDLength, oneLine
	case "sku":
		s.Type, s.MinLength, s.MaxLength, s.Pattern = []string{"string", "integer"}, 1, messages.MaxSKULength, oneLine
	case "code":
		s.Type, s.MaxLength, s.Pattern = "string", messages.MaxCodeLength, "^[a-z0-9_]*$"
	case "email":
		s.Type, s.MaxLength, s.Format = "string", messages.MaxEmailLength, "email"
	case "reason":
		s.Type, s.MinLength, s.MaxLength, s.Pattern = "string", 1, messages.MaxReasonLength, oneLine
	case "message":
		s.Type, s.MinLength, s.MaxLength = "string", 1, messages.MaxMessageLength
	case "channel":
		s.Const, s.Default = messages.ChannelEmail, messages.ChannelEmail
	case "quantity":
		s.Type, s.Minimum, s.Maximum = "integer", ptr(1), ptr(messages.MaxQuantity)
	case "money":
		s.Type, s.Minimum, s.Maximum = []string{"number", "string"}, ptr(0), ptr(messages.MaxMinor)
		s.Pattern = `^(0|[1-9][0-9]*)(\.[0-9]+)?$`
	case "title":
		s.Type, s.MinLength, s.MaxLength, s.Pattern = "string", 1, messages.MaxTitleLength, oneLine
	case "count":
		s.Type, s.Minimum, s.Maximum = "integer", ptr(0), ptr(messages.MaxCount)
	case "items":
		lines, err := objectOf(t.Elem())
		if err != nil {
			return nil, err
		}
		s.Type, s.MaxItems, s.Items = "array", messages.MaxLines, lines
	default:
		return nil, fmt.Errorf("unknown kind %q", kind)
	}
	return s, nil
}

// currency returns the schema of the member that each amount brings with it. Upper and lower case mean the same.
func currency() *Schema {
	return &Schema{Type: "string", Pattern: "^[A-Za-z]{3}$", Default: messages.DefaultCurrency,
		Description: "ISO 4217 code of every amount in the message."}
}

// oneLine is the pattern of text without control characters.
const oneLine = `^[^\u0000-\u001f\u007f]*$`

func ptr(n int64) *int64 { return &n }
