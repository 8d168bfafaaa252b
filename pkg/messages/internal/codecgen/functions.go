package codecgen

import (
	"fmt"
	"slices"
	"strings"
)

// written is the order of members in a body that the services write: consumers have golden files of it. A field with another
// name follows, in the order of the types.
func written() []string {
	return []string{"message_id", "order_id", "amount", "user_id", "sku", "name", "total", "price", "currency", "items",
		"payment_method", "email", "payment_id", "reason", "step", "message", "channel", "kind", "to", "stocked", "version"}
}

// complete adds what follows from the events' fields.
func (c *contract) complete() error {
	c.Fields = written()
	for i := range c.Events {
		e := &c.Events[i]
		c.Topics = grouped(c.Topics, e.Topic, e.GoName)
		for _, f := range e.Fields {
			if !slices.Contains(c.Fields, f.Name) {
				c.Fields = append(c.Fields, f.Name)
			}
			switch {
			case f.Name == "order_id":
				e.Key, e.Order = f.GoName, f.GoName
			case f.Name == "sku" && e.Order == "":
				e.Key = f.GoName
			}
			if err := e.complete(f); err != nil {
				return fmt.Errorf("%s.%s: %w", e.GoName, f.GoName, err)
			}
			if f.Kind == "money" && f.Name != "price" { // a price is no money that moves
				c.Amounts = grouped(c.Amounts, constant(f.Name), e.GoName)
			}
		}
		if e.Key == "" {
			return fmt.Errorf("%s has no order_id and no sku: its record would have no key", e.GoName)
		}
	}
	for i := range c.Events {
		c.Events[i].Writes = writesOf(c.Events[i], c.Fields)
	}
	return nil
}

// grouped adds an event to the group of that name.
func grouped(groups []group, name, goName string) []group {
	for i := range groups {
		if groups[i].Name == name {
			groups[i].Events += ", Event" + goName
			return groups
		}
	}
	return append(groups, group{name, "Event" + goName})
}

// complete adds how the event reads and checks a field, both in the order of the type.
func (e *event) complete(f field) error {
	read, err := reader(f)
	if err != nil {
		return err
	}
	switch {
	case f.Has != "":
		e.Later = append(e.Later, fmt.Sprintf("e.%s, e.%s = %s", f.GoName, f.Has, read))
	case len(e.Later) > 0: // a bad currency is named with the amount that is read first
		e.Later = append(e.Later, fmt.Sprintf("e.%s = %s", f.GoName, read))
	default:
		e.Reads = strings.TrimPrefix(e.Reads+", "+f.GoName+": "+read, ", ")
	}
	rule, err := ruleOf(*e, f)
	e.Rules = append(e.Rules, rule)
	return err
}

// reader returns the call that reads a field.
func reader(f field) (string, error) {
	call := ""
	switch {
	case f.Lenient && f.Optional && f.Kind == "items":
		return "c.lenientItems()", nil
	case f.Lenient && f.Optional && f.Kind == "code":
		call = "lenientCode"
	case f.Lenient:
		return "", fmt.Errorf("an optional code, or optional items, can be lenient, not %s", f.Kind)
	case f.Kind == "id", f.Kind == "sku":
		call = "id"
	case f.Kind == "channel", f.Kind == "count":
		call = f.Kind
	case slices.Contains([]string{"name", "email", "code", "reason", "message", "title"}, f.Kind):
		call = "text"
	case f.Kind == "items":
		return "c.items()", nil
	case f.Kind != "money":
		return "", fmt.Errorf("unknown kind %q", f.Kind)
	case f.Has != "":
		call = "money"
	case f.Optional:
		return "", fmt.Errorf("an optional amount needs a field Has%s beside it", f.GoName)
	default:
		call = "required"
	}
	return "c." + call + "(" + constant(f.Name) + ")", nil
}

// writesOf returns the statements that write an event's members, in the order of all bodies.
func writesOf(e event, order []string) []string {
	var writes []string
	for _, name := range order {
		i := slices.IndexFunc(e.Fields, func(f field) bool { return f.Name == name })
		switch money := moneyOf(e); {
		case name == "currency" && money != "":
			writes = append(writes, fmt.Sprintf("w.text(%q, e.%s.Currency)", name, money))
		case i < 0:
		case e.Fields[i].Kind == "items":
			writes = append(writes, fmt.Sprintf("w.items(e.%s)", e.Fields[i].GoName))
		case e.Fields[i].Has != "":
			writes = append(writes, fmt.Sprintf("if e.%s {\nw.decimal(%q, e.%s)\n}", e.Fields[i].Has, name, e.Fields[i].GoName))
		case e.Fields[i].Kind == "money":
			writes = append(writes, fmt.Sprintf("w.decimal(%q, e.%s)", name, e.Fields[i].GoName))
		case e.Fields[i].Kind == "count":
			writes = append(writes, fmt.Sprintf("w.whole(%q, e.%s)", name, e.Fields[i].GoName))
		default:
			writes = append(writes, fmt.Sprintf("w.text(%q, e.%s)", name, e.Fields[i].GoName))
		}
	}
	return writes
}

// moneyOf returns the field that has the event's amount, "" when it has none. An event has one currency.
func moneyOf(e event) string {
	for _, f := range e.Fields {
		if f.Kind == "money" {
			return f.GoName
		}
	}
	return ""
}

// ruleOf returns the call that checks a field.
func ruleOf(e event, f field) (string, error) {
	least := ", 0"
	if f.Positive {
		least = ", 1"
	}
	required := map[string]string{"id": "id", "name": "id", "code": "requiredCode", "channel": "channel", "money": "money",
		"reason": "text", "message": "text", "sku": "name", "title": "title", "count": "count"}
	optional := map[string]string{"id": "optional", "name": "optional", "code": "code", "channel": "channel", "email": "email",
		"money": "moneyUnlessItems", "items": "items"}
	more := map[string]string{"reason": ", MaxReasonLength, false", "message": ", MaxMessageLength, true", "money": least,
		"sku": ", MaxSKULength"}[f.Kind]
	if f.Has != "" {
		more = ", e." + f.Has + ", e.Items" + more
	}
	rule := required[f.Kind]
	if f.Optional {
		rule = optional[f.Kind]
	}
	switch {
	case rule == "":
		return "", fmt.Errorf("there is no rule for kind %q, optional: %v", f.Kind, f.Optional)
	case rule == "items":
		return fmt.Sprintf("items(e.%s, e.%s.Currency)", f.GoName, moneyOf(e)), nil
	}
	return fmt.Sprintf("%s(%q, e.%s%s)", rule, f.Name, f.GoName, more), nil
}
