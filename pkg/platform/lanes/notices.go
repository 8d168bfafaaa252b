package lanes

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// noticeTime is how long readiness remarks on something that has happened.
const noticeTime = time.Hour

// notices are things that happened and that somebody should know, though they keep nothing from working.
type Notices struct {
	mu   sync.Mutex
	all  []notice
	made []string // ids of the topics that were made again, as told
}

type notice struct {
	text string
	at   time.Time
}

// noticesAtMost bounds what readiness says; the log has all of it.
const noticesAtMost = 10

func (n *Notices) Add(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, notice{text, time.Now()})
	if len(n.all) > noticesAtMost {
		n.all = slices.Delete(n.all, 0, len(n.all)-noticesAtMost)
	}
}

// madeAgain tells once that a topic was deleted and made again with the id.
func (n *Notices) MadeAgain(log *slog.Logger, topic, id string) {
	n.mu.Lock()
	told := slices.Contains(n.made, id)
	if !told {
		n.made = append(n.made, id)
	}
	n.mu.Unlock()
	if told {
		return
	}
	text := fmt.Sprintf("the topic %s was deleted and made again: it is read from its beginning", topic)
	log.Error(text, "topic", topic)
	n.Add(text)
}

// current returns what happened within noticeTime.
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
