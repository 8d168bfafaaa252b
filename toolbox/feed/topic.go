package feed

import (
	"encoding/base64"

	"github.com/twmb/franz-go/pkg/kadm"
)

// identify keeps the topics' ids. A topic whose id differs from the one in Start.IDs was made anew.
func (f *Feed) identify(existing kadm.TopicDetails) error {
	for i, name := range f.cfg.names() {
		f.ids[name] = existing[name].ID
		known, now := f.cfg.Start.IDs[f.cfg.Topics[i]], f.IDs()[f.cfg.Topics[i]]
		if known != "" && now != "" && known != now {
			return &RemadeError{Topic: f.cfg.Topics[i], Known: true}
		}
	}
	return nil
}

// IDs returns the ids of the topics in the form that Kafka's own tools write, by topic without prefix. A broker older
// than 2.8 has none.
func (f *Feed) IDs() map[string]string {
	ids := map[string]string{}
	for i, name := range f.cfg.names() {
		if id := f.ids[name]; id != (kadm.TopicID{}) {
			ids[f.cfg.Topics[i]] = base64.RawURLEncoding.EncodeToString(id[:])
		}
	}
	return ids
}
