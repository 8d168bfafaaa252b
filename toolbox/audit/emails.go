package audit

import (
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"pasdetrois/pkg/messages"
)

// of returns the bit of a kind of notification, counted from the bit of the first kind; 0 for a kind that the services do not
// send. said, mailed and mailDue have their kinds in the order of messages.Kinds.
func (t told) of(kind string) told {
	i := slices.Index(messages.Kinds(), kind)
	if i < 0 {
		return 0
	}
	return t << i
}

// mailSum returns a hash of an email's kind and time of sending. It is never 0. An event that is published again has the same
// time. An email that is sent again has another one.
func mailSum(kind string, at time.Time) uint32 {
	h := fnv.New32a()
	_, _ = io.WriteString(h, kind+"\x00"+strconv.FormatInt(at.UnixMicro(), 10))
	return h.Sum32() | 1
}

// secondMail names an email that was sent after the first one of its order.
type secondMail struct {
	id   string
	kind told
}

// mailSeen adds a notification_sent, or the first request for an email, to the story of an order. The story has room for the first
// email that was sent; few orders have more than one. A request makes the event due only when it follows such an event on its
// partition, because an older version of the service wrote none.
func (s *stories) mailSeen(st *story, t *telling) {
	if asked := t.is & saidAny; asked != 0 && s.mailed[t.partition] {
		t.is |= (asked &^ st.told) / saidConfirmed * mailDue
	}
	if t.mail == 0 {
		return
	}
	s.mailed[t.partition] = true
	name := secondMail{t.id, t.is}
	switch later, isLater := s.later[name]; {
	case t.id == "" || t.is == 0: // of no order, or of a kind of another producer
	case st.told&t.is != 0 && isLater:
		if later != t.mail {
			t.is |= mailedTwice
		}
	case st.told&t.is != 0:
		if st.mail != t.mail {
			t.is |= mailedTwice
		}
	case st.mail == 0:
		st.mail = t.mail
	default:
		s.later[name] = t.mail
	}
}

// twiceNotes names the orders with an email that was sent at two times.
func (a *audit) twiceNotes() []string {
	if a.twice == 0 {
		return nil
	}
	names := strings.Join(a.twiceNamed, ", ")
	if more := a.twice - int64(len(a.twiceNamed)); more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return []string{"an email was sent at two times, by a crash before its row was settled or over a database that was put back: " + names}
}

// wrongEmail returns the fault in the events of an order's emails, "" when there is none. An email that was sent has its event,
// unless its row says that the event is still to be published. An email that was sent at two times is no fault, but a note: a crash
// between sending and settling does that, and so does a database that was put back.
func (a *audit) wrongEmail(f file, is story) string {
	if is.told&mailedTwice != 0 {
		if a.twice++; len(a.twiceNamed) < examplesKept {
			a.twiceNamed = append(a.twiceNamed, f.id)
		}
	}
	for _, n := range f.notifications {
		if n.status == "sent" && n.recorded && !n.at.After(a.fixed) && is.told&mailDue.of(n.kind) != 0 && is.told&mailed.of(n.kind) == 0 {
			return fmt.Sprintf("%s: the email that it is %s was sent, and the topics have no %s of it", f.id, n.kind, messages.EventNotificationSent)
		}
	}
	return ""
}
