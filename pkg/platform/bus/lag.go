package bus

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/lanes"
)

// heldAfter is how long a transaction may hold back records before readiness and metrics report it.
const heldAfter = 10 * time.Second

// watched is the monitor's state of one partition, from one round to the next.
type watched struct {
	next    int64   // offset that the group reads next, at the last round
	nothing stretch // behind next
	open    openTransaction
}

// openTransaction is a transaction that holds back the records of a partition: readers of committed records stop at its first.
type openTransaction struct {
	first   int64     // its first record; the records before can be read
	records int64     // offsets from there to the end of the log
	since   time.Time // when a round found it first; zero when there is none
	told    bool      // it has its log line
}

// see notes the extent of the log now. Another first record means another transaction, whose time begins anew.
func (o *openTransaction) see(log kafka.LogState, now time.Time) {
	switch {
	case log.Stable >= log.End:
		*o = openTransaction{}
	case o.since.IsZero() || o.first != log.Stable:
		*o = openTransaction{first: log.Stable, since: now}
	}
	o.records = log.End - log.Stable
}

// tells reports whether the transaction has been open for longer than patience. Most transactions end within milliseconds.
func (o *openTransaction) tells(now time.Time, patience time.Duration) bool {
	return !o.since.IsZero() && now.Sub(o.since) >= patience
}

// lag returns the number of offsets that the group can still read. Offsets without a record, as found by lookBehind, do not
// count: a group that has read everything has lag 0.
func (w *watched) lag(from int64, log kafka.LogState) int64 {
	return max(log.Stable-max(from, w.nothing.after(from).to), 0)
}

// askTopic measures the partitions of one topic, and marks offsets that have no record behind them. It marks only in the session
// that it read before the progress, and only for the same topic id. The offset then belongs to the claim that marks it.
func (m *monitor) askTopic(client sarama.Client, admin sarama.ClusterAdmin, topic string, state kafka.TopicState) error {
	name := m.cfg.TopicPrefix + topic
	held := m.sessions.Of(name) // read before the group's progress: see held.Passed
	partitions, err := client.Partitions(name)
	if err != nil {
		return fmt.Errorf("topic %s: %w", name, err)
	}
	far, err := m.cfg.AskProgress(admin, m.cfg.Group(m.service, topic), name, partitions)
	if err != nil {
		return err
	}
	logs, untold := kafka.AskLogs(client, name, partitions)
	for _, err := range untold {
		return m.cfg.Explain(err)
	}
	for _, p := range partitions {
		key := lanes.Partition{Topic: name, Number: p}
		next := lanes.StartOf(far[p], state.ID, logs[p]).Offset
		w := m.watch(key, state.ID)
		if next < logs[p].Stable && next == w.next {
			m.stands(key, next)
			to := m.lookBehind(client, key, w, next, logs[p].Stable)
			if held != nil && held.TopicID == state.ID && next == far[p].Next && to > next {
				held.Passed(p, to)
			}
		}
		w.next = next
		w.open.see(logs[p], time.Now())
		m.show(topic, p, w, logs[p])
	}
	return nil
}

// lookBehind returns the offset up to which there is no record behind next. It fetches only when the group stands still, and
// not again where a record was found.
func (m *monitor) lookBehind(client sarama.Client, key lanes.Partition, w *watched, next, stable int64) int64 {
	if w.nothing.to > stable { // the brokers lost records, and others may have come
		w.nothing = stretch{}
	}
	var err error
	w.nothing, err = w.nothing.after(next).grow(client, key, stable)
	if err != nil { // the record behind it may be one that cannot be read, and then the lag is true
		m.log.Debug("could not look behind what was read", "topic", key.Topic, "partition", key.Number, "offset", next, "err", err)
	}
	return min(w.nothing.to, stable)
}

// show sets the metrics of a partition, and logs a transaction that another producer has left open, once.
func (m *monitor) show(topic string, p int32, w *watched, log kafka.LogState) {
	partition := strconv.Itoa(int(p))
	m.metrics.lag.WithLabelValues(topic, partition).Set(float64(w.lag(w.next, log)))
	m.metrics.next.WithLabelValues(topic, partition).Set(float64(w.next))
	held := int64(0)
	if w.open.tells(time.Now(), m.patience) {
		held = w.open.records
		if !w.open.told {
			w.open.told = true
			m.log.Warn("records wait for a transaction that another producer has left open", "topic", topic, "partition", p, "offset", w.open.first)
		}
	}
	m.metrics.held.WithLabelValues(topic, partition).Set(float64(held))
}

// watch returns the state of a partition of the topic with the id. A topic that was made again has another id, and its partitions
// begin with an empty state.
func (m *monitor) watch(key lanes.Partition, topicID string) *watched {
	if m.ids[key.Topic] != topicID {
		m.ids[key.Topic] = topicID
		m.forget(func(k lanes.Partition) bool { return k.Topic == key.Topic })
	}
	w := m.watched[key]
	if w == nil {
		w = &watched{next: -1}
		m.watched[key] = w
	}
	return w
}

// forgetGone forgets partitions that are gone, with their series. A topic that may not be described is kept: it may still exist.
func (m *monitor) forgetGone(states map[string]kafka.TopicState) {
	m.forget(func(key lanes.Partition) bool {
		state, exists := states[key.Topic]
		return !exists && !state.Forbidden || exists && key.Number >= state.Partitions
	})
}

func (m *monitor) forget(which func(lanes.Partition) bool) {
	for key := range m.watched {
		if which(key) {
			topic, partition := key.Topic[len(m.cfg.TopicPrefix):], strconv.Itoa(int(key.Number))
			m.metrics.lag.DeleteLabelValues(topic, partition)
			m.metrics.next.DeleteLabelValues(topic, partition)
			m.metrics.held.DeleteLabelValues(topic, partition)
			delete(m.watched, key)
		}
	}
}

// openTransactions returns one text for each partition whose records wait for the end of a transaction, in sorted order.
func (m *monitor) openTransactions(now time.Time) []string {
	var texts []string
	for key, w := range m.watched {
		if w.open.tells(now, m.patience) {
			texts = append(texts, fmt.Sprintf("%d records of %s/%d wait since %s for a transaction that another producer has left open, at offset %d",
				w.open.records, key.Topic, key.Number, w.open.since.UTC().Format("15:04:05 UTC"), w.open.first))
		}
	}
	slices.Sort(texts)
	return texts
}
