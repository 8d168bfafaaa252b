package pgdb

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Setting is a setting of a session.
type Setting struct{ Name, Value string }

// RoleSettings returns the defaults that a service's role needs, sorted by name, so that sessions made by a pooler have them.
// Connections of Open to the server itself send the same.
func RoleSettings(schema string) []Setting {
	params := map[string]string{}
	sessionParams(params, schema)
	for _, l := range limits {
		params[l.name] = l.value
	}
	settings := make([]Setting, 0, len(params))
	for _, name := range slices.Sorted(maps.Keys(params)) {
		settings = append(settings, Setting{name, params[name]})
	}
	return settings
}

// sessionParams adds the settings that all statements need.
func sessionParams(params map[string]string, schema string) {
	if schema != "" {
		params["search_path"] = schema
	}
	for _, off := range plannerOff {
		params[off] = "off"
	}
	// A batch below saturation is small. Postgres takes a plan for so few rows as cheaper than the generic one. It would make a
	// new plan each time, which costs more than the statement.
	params["plan_cache_mode"] = "force_generic_plan"
	params[isolation] = "read committed"
}

// option returns an option of a database URL, or of a string of keywords and values; "" when it has none.
func option(databaseURL, name string) string {
	if u, err := url.Parse(databaseURL); err == nil && u.Scheme != "" {
		return u.Query().Get(name)
	}
	for _, word := range strings.Fields(databaseURL) {
		if value, ok := strings.CutPrefix(word, name+"="); ok {
			return strings.Trim(value, "'")
		}
	}
	return ""
}
