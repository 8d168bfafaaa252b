package contractdoc

import (
	"encoding/json"
	"fmt"
	"time"

	"pasdetrois/pkg/messages"
)

// object is a JSON object whose members stand in the order of their names.
type object = map[string]any

// asyncAPI returns the AsyncAPI 3.0 document of the whole contract.
func asyncAPI() (object, error) {
	channels, operations, texts, schemas := object{}, object{}, object{}, object{}
	for _, topic := range messages.Topics() {
		carried := object{}
		for _, t := range messages.Registry() {
			if t.Topic == topic.Name {
				carried[t.Name] = ref("#/components/messages/" + t.Name)
			}
		}
		channels[topic.Name] = object{
			"address":     topic.Name,
			"description": topic.Summary,
			"messages":    carried,
			"bindings":    object{"kafka": object{"topic": topic.Name, "partitions": topic.Partitions, "bindingVersion": "0.5.0"}},
		}
	}
	for _, t := range messages.Registry() {
		schema, err := schemaOf(t)
		if err != nil {
			return nil, err
		}
		schemas[t.Name] = schema
		example, err := Example(t)
		if err != nil {
			return nil, err
		}
		texts[t.Name] = object{
			"name":        t.Name,
			"title":       t.Name,
			"summary":     t.Summary,
			"contentType": "application/json",
			"headers":     ref("#/components/schemas/headers"),
			"payload":     ref("#/components/schemas/" + t.Name),
			"bindings": object{"kafka": object{"bindingVersion": "0.5.0",
				"key": object{"type": "string", "description": keyOf(t)}}},
			"examples": []object{{"name": t.Name, "payload": json.RawMessage(example.Value)}},
		}
		for _, service := range append([]string{t.Owner}, t.Others...) {
			operations[service+".send."+t.Name] = operation("send", t)
		}
		for _, service := range t.Consumers {
			operations[service+".receive."+t.Name] = operation("receive", t)
		}
	}
	schemas["headers"] = headerSchema()
	return object{
		"asyncapi": "3.0.0",
		"info": object{
			"title":       "Pas de Trois",
			"version":     "1.0.0",
			"description": "The messages of the order choreography. Version 1 only ever gains optional fields and events.",
			"license":     object{"name": "MIT"},
		},
		"defaultContentType": "application/json",
		"channels":           channels,
		"operations":         operations,
		"components":         object{"messages": texts, "schemas": schemas},
	}, nil
}

// keyOf says what the record's key is.
func keyOf(t messages.Type) string {
	switch {
	case t.Example.Order() == "":
		return "The sku."
	case t.Topic == messages.TopicNotifications:
		return "The order id. Absent for a notification that belongs to no order."
	}
	return "The order id."
}

// ref returns a reference to another part of the document.
func ref(to string) object { return object{"$ref": to} }

// operation returns what one service does with one event: it sends or receives it on the event's channel.
func operation(action string, t messages.Type) object {
	return object{
		"action":   action,
		"channel":  ref("#/channels/" + t.Topic),
		"messages": []object{ref("#/channels/" + t.Topic + "/messages/" + t.Name)},
		"summary":  t.Summary,
	}
}

// headerSchema describes the record headers. All are optional for a producer; the services write all that apply.
func headerSchema() *Schema {
	text := func(name, description string) Property {
		return Property{name, &Schema{Type: "string", Description: description}}
	}
	return &Schema{Type: "object", Description: "CloudEvents 1.0 in binary mode, and W3C trace context. A producer may leave all out.",
		Properties: Properties{
			{"ce_specversion", &Schema{Const: "1.0"}},
			text("ce_id", "The message id. Missing: one is derived from topic, key, time and value of the record."),
			text("ce_type", "pasdetrois.<event>.v1"),
			text("ce_source", "/pasdetrois/<service>"),
			{"ce_time", &Schema{Type: "string", Format: "date-time", Description: "When it happened."}},
			text("ce_subject", "The record's key: the order id, or the sku of inventory_changed."),
			{"ce_ordertime", &Schema{Type: "string", Format: "date-time", Description: "When the order was received; in messages that say something of an order's outcome, to measure with."}},
			{"ce_outside", &Schema{Type: "string", Const: "true", Description: "Another producer than orders requested the payment; in the events of payments about it."}},
			{"content-type", &Schema{Const: "application/json"}},
			text("traceparent", "W3C trace context. Passed on to everything that the message leads to."),
		}}
}

// Example returns t's example as a record. Nothing in it is random: it is the golden file of the event.
func Example(t messages.Type) (messages.Record, error) {
	m := messages.Message{
		ID:          messages.ID(t.Example.Key(), t.Name, "example"),
		Event:       t.Example,
		Source:      t.Owner,
		Time:        time.Date(2026, time.March, 14, 9, 26, 53, 589_793_000, time.UTC),
		TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}
	r, err := m.Record()
	if err != nil {
		return messages.Record{}, fmt.Errorf("example of %s: %w", t.Name, err)
	}
	return r, nil
}
