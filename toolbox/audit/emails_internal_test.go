package audit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
)

func TestEmailsOfAnOrderAreComparedWithTheirEvents(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	asked := func(kind string) telling { return telling{id: "o", is: saidConfirmed.of(kind)} }
	sent := func(id, kind string, at time.Time) telling {
		return telling{id: id, is: mailed.of(kind), mail: mailSum(kind, at)}
	}
	begun := sent("another", messages.KindConfirmed, at)
	confirmed, cancelled := messages.KindConfirmed, messages.KindCancelled
	const missing = "o: the email that it is confirmed was sent, and the topics have no notification_sent of it"
	const twice = "an email was sent at two times, by a crash before its row was settled or over a database that was put back: o"
	for name, c := range map[string]struct {
		topics   []telling
		recorded bool
		want     string
	}{
		"its event is there":              {[]telling{begun, asked(confirmed), sent("o", confirmed, at)}, true, ""},
		"its event is missing":            {[]telling{begun, asked(confirmed)}, true, missing},
		"it is still to be published":     {[]telling{begun, asked(confirmed)}, false, ""},
		"an older version sent it":        {[]telling{asked(confirmed), begun, asked(confirmed)}, true, ""},
		"its event was published twice":   {[]telling{begun, asked(confirmed), sent("o", confirmed, at), sent("o", confirmed, at)}, true, ""},
		"it was sent twice":               {[]telling{begun, asked(confirmed), sent("o", confirmed, at), sent("o", confirmed, at.Add(time.Microsecond))}, true, twice},
		"two emails":                      {[]telling{begun, sent("o", confirmed, at), sent("o", cancelled, at.Add(time.Hour)), sent("o", cancelled, at.Add(time.Hour))}, true, ""},
		"the second email was sent twice": {[]telling{begun, sent("o", confirmed, at), sent("o", cancelled, at), sent("o", cancelled, at.Add(time.Hour))}, true, twice},
		"of another producer's kind":      {[]telling{begun, sent("o", "advert", at), sent("o", "advert", at.Add(time.Hour))}, true, ""},
	} {
		s := newStories()
		for _, t := range c.topics {
			s.tell(t)
		}
		is, _ := s.of("o")
		a := &audit{fixed: at.Add(2 * time.Hour)}
		got := a.wrongEmail(file{id: "o", order: &order{status: "cancelled"},
			notifications: []notification{{id: "o", kind: confirmed, status: "sent", at: at, recorded: c.recorded}}}, is)
		for _, note := range a.twiceNotes() {
			got += note
		}
		require.Equal(t, c.want, got, name)
	}
}
