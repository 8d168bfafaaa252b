package contractdoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"testing"
	"unicode/utf8"
)

// keywords are those that fits knows, and those that only describe.
var keywords = map[string]bool{
	"type": true, "const": true, "pattern": true, "minLength": true, "maxLength": true, "minimum": true, "exclusiveMinimum": true,
	"maximum": true, "minItems": true, "maxItems": true, "items": true, "properties": true, "required": true, "anyOf": true,
	"$schema": true, "$id": true, "title": true, "description": true, "default": true, "deprecated": true, "format": true, "examples": true,
}

// check holds a body against a schema and returns what does not fit.
func check(t *testing.T, schema map[string]any, body []byte) string {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return fits(schema, v, "body")
}

// fits is JSON Schema as far as the contract uses it.
func fits(s map[string]any, v any, at string) string {
	if types := list(s["type"]); len(types) > 0 && !slices.ContainsFunc(types, func(t any) bool { return isType(t.(string), v) }) {
		return fmt.Sprintf("%s is not of type %v", at, types)
	}
	if c, ok := s["const"]; ok && c != v {
		return fmt.Sprintf("%s is not %v", at, c)
	}
	switch v := v.(type) {
	case string:
		n := utf8.RuneCountInString(v)
		if p, ok := s["pattern"].(string); ok && !regexp.MustCompile(goPattern(p)).MatchString(v) {
			return fmt.Sprintf("%s does not match %s", at, p)
		}
		if least, ok := s["minLength"].(float64); ok && n < int(least) {
			return at + " is too short"
		}
		if most, ok := s["maxLength"].(float64); ok && n > int(most) {
			return at + " is too long"
		}
	case json.Number:
		return numberFits(s, v, at)
	case []any:
		if least, ok := s["minItems"].(float64); ok && len(v) < int(least) {
			return at + " has too few items"
		}
		if most, ok := s["maxItems"].(float64); ok && len(v) > int(most) {
			return at + " has too many items"
		}
		if items, ok := s["items"].(map[string]any); ok {
			for i, e := range v {
				if p := fits(items, e, fmt.Sprintf("%s[%d]", at, i)); p != "" {
					return p
				}
			}
		}
	case map[string]any:
		return objectFits(s, v, at)
	}
	return ""
}

func numberFits(s map[string]any, v json.Number, at string) string {
	n, ok := new(big.Rat).SetString(v.String())
	if !ok {
		return at + " is no number"
	}
	bound := func(key string) (int, bool) {
		b, ok := s[key].(float64)
		if !ok {
			return 0, false
		}
		return n.Cmp(new(big.Rat).SetFloat64(b)), true
	}
	if c, ok := bound("minimum"); ok && c < 0 {
		return at + " is too small"
	}
	if c, ok := bound("exclusiveMinimum"); ok && c <= 0 {
		return at + " is too small"
	}
	if c, ok := bound("maximum"); ok && c > 0 {
		return at + " is too large"
	}
	return ""
}

func objectFits(s, v map[string]any, at string) string {
	for _, r := range list(s["required"]) {
		if _, ok := v[r.(string)]; !ok {
			return fmt.Sprintf("%s has no %s", at, r)
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for k, p := range properties {
		if m, ok := v[k]; ok {
			if problem := fits(p.(map[string]any), m, at+"."+k); problem != "" {
				return problem
			}
		}
	}
	problem := ""
	for _, alternative := range list(s["anyOf"]) {
		if problem = fits(alternative.(map[string]any), v, at); problem == "" {
			break
		}
	}
	return problem
}

func isType(name string, v any) bool {
	switch v := v.(type) {
	case string:
		return name == "string"
	case json.Number:
		n, ok := new(big.Rat).SetString(v.String())
		return name == "number" || (name == "integer" && ok && n.IsInt())
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return false
}

func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

var escapes = regexp.MustCompile(`\\u([0-9a-f]{4})`)

// goPattern writes an ECMA 262 pattern as Go does.
func goPattern(p string) string { return escapes.ReplaceAllString(p, `\x{$1}`) }

// walk visits a schema and all within it.
func walk(s map[string]any, visit func(map[string]any)) {
	visit(s)
	if items, ok := s["items"].(map[string]any); ok {
		walk(items, visit)
	}
	if properties, ok := s["properties"].(map[string]any); ok {
		for _, p := range properties {
			walk(p.(map[string]any), visit)
		}
	}
	for _, a := range list(s["anyOf"]) {
		walk(a.(map[string]any), visit)
	}
}
