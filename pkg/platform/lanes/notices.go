package lanes

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// noticeTime is how long readiness shows a notice.
const noticeTime = time.Hour

// Notices are events that an operator should see, though the service works: readiness shows them as remarks.
type Notices struct {
	mu   sync.Mutex
	all  []notice
	made []string // ids of the topics whose MadeAgain is done
}

type notice struct {
	text string
	at   time.Time
}

// noticesAtMost bounds the notices that readiness shows; the log has all.
const noticesAtMost = 10

func (n *Notices) Add(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, notice{text, time.Now()})
	if len(n.all) > noticesAtMost {
		n.all = slices.Delete(n.all, 0, len(n.all)-noticesAtMost)
	}
}

// MadeAgain reports, once for each id, that a topic was deleted and made again.
func (n *Notices) MadeAgain(log *slog.Logger, topic, id string) {
	n.mu.Lock()
	done := slices.Contains(n.made, id)
	if !done {
		n.made = append(n.made, id)
	}
	n.mu.Unlock()
	if done {
		return
	}
	text := fmt.Sprintf("the topic %s was deleted and made again: it is read from its beginning", topic)
	log.Error(text, "topic", topic)
	n.Add(text)
}

// Current returns the notices of the last noticeTime.
func (n *Notices) Current() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = slices.DeleteFunc(n.all, func(one notice) bool { return time.Since(one.at) > noticeTime })
	var texts []string
	for _, one := range n.all {
		texts = append(texts, one.text+" ("+one.at.UTC().Format("15:04:05 UTC")+")")
	}
	return texts
}
