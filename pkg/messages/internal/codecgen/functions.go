package codecgen

import (
	"fmt"
	"slices"
	"strings"
)

// decode writes the function that makes an event of a body. It reads the fields in the order of the type.
func (w *writer) decode() error {
	w.line("// event returns the body as the event called name, nil when the topic carries no such event. What cannot be converted\n// is noted in c.\nfunc (c *converter) event(topic, name string) Event {\nif topicOf(name) != topic {\nreturn nil\n}\nswitch name {")
	for _, e := range w.Events {
		w.line("case Event%s:", e.GoName)
		var members []string
		var later []string
		for _, f := range e.Fields {
			read, err := reader(f)
			if err != nil {
				return fmt.Errorf("%s.%s: %w", e.GoName, f.GoName, err)
			}
			if f.Has != "" {
				later = append(later, fmt.Sprintf("e.%s, e.%s = %s", f.GoName, f.Has, read))
				continue
			}
			members = append(members, f.GoName+": "+read)
		}
		if literal := e.GoName + "{" + strings.Join(members, ", ") + "}"; len(later) == 0 {
			w.line("return %s", literal)
		} else {
			w.line("e := %s\n%s\nreturn e", literal, strings.Join(later, "\n"))
		}
	}
	w.line("}\nreturn nil\n}\n")
	return nil
}

// reader returns the call that reads a field.
func reader(f field) (string, error) {
	switch f.Kind {
	case "id":
		return "c.id(" + constant(f.Name) + ")", nil
	case "name", "email", "code", "reason", "message":
		return "c.text(" + constant(f.Name) + ")", nil
	case "channel":
		return "c.channel(" + constant(f.Name) + ")", nil
	case "items":
		return "c.items()", nil
	case "money":
		switch {
		case f.Has != "":
			return "c.money(" + constant(f.Name) + ")", nil
		case f.Optional:
			return "", fmt.Errorf("an optional amount needs a field Has%s beside it", f.GoName)
		}
		return "c.required(" + constant(f.Name) + ")", nil
	}
	return "", fmt.Errorf("unknown kind %q", f.Kind)
}

// encode writes the function that appends an event's members, in the order of all bodies.
func (w *writer) encode() error {
	w.line("// event writes the members of an event, and reports false for a type that is not of the contract.\nfunc (w *writer) event(event Event) bool {\nswitch e := event.(type) {")
	for _, e := range w.Events {
		w.line("case %s:", e.GoName)
		for _, name := range w.fields {
			if name == "currency" {
				if money := moneyOf(e); money != "" {
					w.line("w.text(%q, e.%s.Currency)", name, money)
				}
				continue
			}
			i := slices.IndexFunc(e.Fields, func(f field) bool { return f.Name == name })
			if i < 0 {
				continue
			}
			switch f := e.Fields[i]; {
			case f.Kind == "items":
				w.line("w.items(e.%s)", f.GoName)
			case f.Has != "":
				w.line("if e.%s {\nw.decimal(%q, e.%s)\n}", f.Has, name, f.GoName)
			case f.Kind == "money":
				w.line("w.decimal(%q, e.%s)", name, f.GoName)
			default:
				w.line("w.text(%q, e.%s)", name, f.GoName)
			}
		}
	}
	w.line("default:\nreturn false\n}\nreturn true\n}\n")
	return nil
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

// rules writes Validate for each event. Problems come in the order of the type.
func (w *writer) rules() error {
	for _, e := range w.Events {
		w.line("// Validate implements Event.\nfunc (e %s) Validate() error {\nvar p problems", e.GoName)
		for _, f := range e.Fields {
			rule, err := ruleOf(e, f)
			if err != nil {
				return fmt.Errorf("%s.%s: %w", e.GoName, f.GoName, err)
			}
			w.line("p.%s", rule)
		}
		w.line("return p.join()\n}\n")
	}
	return nil
}

// ruleOf returns the call that checks a field.
func ruleOf(e event, f field) (string, error) {
	call := func(rule string, more ...string) (string, error) {
		return fmt.Sprintf("%s(%q, e.%s%s)", rule, f.Name, f.GoName, strings.Join(more, "")), nil
	}
	least := ", 0"
	if f.Positive {
		least = ", 1"
	}
	switch f.Kind {
	case "id", "name":
		if f.Optional {
			return call("optional")
		}
		return call("id")
	case "email":
		if f.Optional {
			return call("email")
		}
	case "code":
		if f.Optional {
			return call("code")
		}
		return call("requiredCode")
	case "reason":
		if !f.Optional {
			return call("text", ", MaxReasonLength, false")
		}
	case "message":
		if !f.Optional {
			return call("text", ", MaxMessageLength, true")
		}
	case "channel":
		return call("channel")
	case "items":
		if money := moneyOf(e); f.Optional && money != "" {
			return fmt.Sprintf("items(e.%s, e.%s.Currency)", f.GoName, money), nil
		}
	case "money":
		if f.Has != "" {
			return call("moneyUnlessItems", ", e."+f.Has+", e.Items"+least)
		}
		return call("money", least)
	}
	return "", fmt.Errorf("there is no rule for kind %q, optional: %v", f.Kind, f.Optional)
}
