// Package rebuildtest gives tests of a State what the driver of a rebuild hands over.
package rebuildtest

import (
	"maps"
	"slices"

	"pasdetrois/pkg/platform/rebuild"
)

// Stories returns the stories of the records that the state wants, by key.
func Stories(state rebuild.State, records []rebuild.Record) []rebuild.Story {
	byKey := map[string][]rebuild.Record{}
	for _, r := range records {
		if key := state.Key(r.Message); key != "" {
			byKey[key] = append(byKey[key], r)
		}
	}
	stories := make([]rebuild.Story, 0, len(byKey))
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		stories = append(stories, rebuild.NewStory(key, byKey[key]))
	}
	return stories
}
