package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pasdetrois/pkg/platform/kafka"
)

// showCreated shows which topics were created and which existed. For an existing one with other settings it
// adds the command that changes them.
func (a *app) showCreated(cfg kafka.Config, specs []kafka.TopicSpec, created []string, different []kafka.TopicDifference) error {
	// Differs holds the present values; Change is a command for an operator and has no login in it.
	type row struct {
		Name              string            `json:"name"`
		Partitions        int32             `json:"partitions"`
		ReplicationFactor int16             `json:"replication_factor"`
		Created           bool              `json:"created"`
		Differs           map[string]string `json:"differs,omitempty"`
		Change            string            `json:"change,omitempty"`
	}
	p := a.printer()
	list := make([]row, len(specs))
	for i, s := range specs {
		name := cfg.TopicPrefix + s.Name
		list[i] = row{Name: name, Partitions: s.Partitions, ReplicationFactor: s.ReplicationFactor, Created: slices.Contains(created, name)}
		other := slices.IndexFunc(different, func(d kafka.TopicDifference) bool { return d.Topic == name })
		if other >= 0 {
			list[i].Differs, list[i].Change = different[other].Is, different[other].Change(cfg.Brokers)
		}
		switch {
		case a.json:
		case list[i].Created:
			p.Line("%s %s with %s, replication factor %d", p.Good("created"), name, partitions(s.Partitions), s.ReplicationFactor)
		default:
			p.Line("%s %s exists already", p.Dim("kept"), name)
		}
		if other >= 0 && !a.json {
			p.Line("  it has other settings: %s. This command changes them:", differs(different[other]))
			p.Line("  %s", list[i].Change)
		}
	}
	if a.json {
		return p.JSON(map[string]any{"items": list})
	}
	return nil
}

// differs lists the settings of a topic that differ from the wanted ones, sorted by name.
func differs(d kafka.TopicDifference) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(d.Is)) {
		all = append(all, fmt.Sprintf("%s is %s instead of %s", key, d.Is[key], d.Want[key]))
	}
	return strings.Join(all, ", ")
}
