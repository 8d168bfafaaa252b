package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/lanes"
	"pasdetrois/pkg/platform/wait"
)

const (
	monitorEvery = 5 * time.Second
	// monitorStale is the greatest age of the last good answer that still counts: a broker that hangs returns not even an error.
	monitorStale = 20 * time.Second
)

// monitor asks Kafka every few seconds, on its own connection, about topics, groups and members. Readiness and metrics read
// its last answer, so neither waits for a broker. It ends the sessions of topics that have changed, and marks offsets that
// have no record behind them.
type monitor struct {
	cfg      kafka.Config
	service  string
	topics   []string // the topics that the service reads
	uses     []use    // the topics that must exist, and the operations that must be allowed
	metrics  *metrics
	log      *slog.Logger
	sessions *lanes.Sessions
	notices  *lanes.Notices
	stands   func(key lanes.Partition, next int64) // called for a partition that has records and was not read since the last round
	every    time.Duration                         // between two rounds of questions
	patience time.Duration                         // the age at which an open transaction is reported

	// Only the goroutine of run uses these.
	watched   map[lanes.Partition]*watched
	ids       map[string]string // of the topics, by name on the broker
	strangers []stranger

	mu     sync.Mutex
	lastOK time.Time // of the last round without an error
	err    error     // of the last round, nil after a good one
	told   []string  // the remarks of the last good round
}

func newMonitor(cfg kafka.Config, service string, topics []string, metrics *metrics, log *slog.Logger, s *lanes.Sessions, n *lanes.Notices) *monitor {
	return &monitor{cfg: cfg, service: service, topics: topics, uses: usesOf(service, topics), metrics: metrics, log: log,
		sessions: s, notices: n, stands: func(lanes.Partition, int64) {}, every: monitorEvery, patience: heldAfter, watched: make(map[lanes.Partition]*watched), ids: make(map[string]string), err: errors.New("not connected yet")}
}

// report records the outcome of one round of questions.
func (m *monitor) report(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
	if err == nil {
		m.lastOK = time.Now()
	}
}

// check returns the error of the last round, or an error when the last good round is too old. It sends no request.
func (m *monitor) check() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.err != nil:
		return fmt.Errorf("kafka: %w", m.err)
	case time.Since(m.lastOK) > monitorStale:
		return fmt.Errorf("kafka has not answered for %s", time.Since(m.lastOK).Round(time.Second))
	default:
		return nil
	}
}

// remarks returns a *Remark for an operator, nil when there is none.
func (m *monitor) remarks() error {
	m.mu.Lock()
	told := slices.Clone(m.told)
	m.mu.Unlock()
	told = append(told, m.notices.Current()...)
	if len(told) == 0 {
		return nil
	}
	return &Remark{strings.Join(told, "; ")}
}

// askOnce runs one round on a connection that it closes afterwards. It must not run beside run, which uses the same fields.
func (m *monitor) askOnce(ctx context.Context) error {
	client, admin, err := kafka.Connect(ctx, m.cfg, m.service)
	if err != nil {
		return err
	}
	defer func() { _ = admin.Close() }()
	return m.ask(client, admin)
}

// run asks every few seconds until ctx ends. An error closes the connection, and the next round opens a new one: the broker
// behind it may be gone. Only the error of the last round counts, so one good round ends a bad state.
func (m *monitor) run(ctx context.Context) {
	var admin sarama.ClusterAdmin
	var client sarama.Client
	disconnect := func() {
		if admin != nil {
			_ = admin.Close() // closes the client with it
			admin, client = nil, nil
		}
	}
	defer disconnect()
	for {
		err := func() (err error) {
			if admin == nil {
				if client, admin, err = kafka.Connect(ctx, m.cfg, m.service); err != nil {
					return err
				}
			}
			return m.ask(client, admin)
		}()
		if ctx.Err() != nil {
			return
		}
		m.report(err)
		if err != nil {
			disconnect()
		}
		if !wait.Sleep(ctx, m.every) {
			return
		}
	}
}

// ask runs one round. Its order matters: partitions of deleted topics are forgotten first. Changed topics end their sessions
// before a missing permission ends the round. Remarks come last, so they describe a round without an error.
func (m *monitor) ask(client sarama.Client, admin sarama.ClusterAdmin) error {
	names := make([]string, len(m.uses))
	for i, u := range m.uses {
		names[i] = m.cfg.TopicPrefix + u.topic
	}
	states, err := kafka.AskTopics(client, names)
	if err != nil {
		return m.cfg.Explain(err)
	}
	m.forgetGone(states)
	m.compare(states)
	if err := judge(m.cfg, m.uses, states); err != nil {
		return err
	}
	if err := client.RefreshMetadata(names...); err != nil {
		return m.cfg.Explained("list topics", err)
	}
	for _, topic := range m.topics {
		if err := m.askTopic(client, admin, topic, states[m.cfg.TopicPrefix+topic]); err != nil {
			return err
		}
	}
	if err := m.askMembers(client, admin); err != nil {
		return err
	}
	m.remark(states)
	return nil
}

// compare ends the sessions of topics that have changed since the sessions began.
func (m *monitor) compare(states map[string]kafka.TopicState) {
	for _, topic := range m.topics {
		name := m.cfg.TopicPrefix + topic
		state, exists := states[name]
		if !exists {
			continue // the topic's readers try again until it is back
		}
		switch m.sessions.Compare(name, state) {
		case lanes.MadeAgain:
			m.notices.MadeAgain(m.log, topic, state.ID)
		case lanes.Resized:
			m.log.Info("the number of partitions changed: they are shared out again", "topic", topic, "partitions", state.Partitions)
		}
	}
}

// askMembers finds strangers in the service's groups, and logs each once for as long as it stays.
func (m *monitor) askMembers(client sarama.Client, admin sarama.ClusterAdmin) error {
	groups := make([]string, len(m.topics))
	for i, topic := range m.topics {
		groups[i] = m.cfg.Group(m.service, topic)
	}
	strangers, err := askStrangers(client, admin, m.service, groups)
	if err != nil {
		return m.cfg.Explain(err)
	}
	for _, s := range strangers {
		if !slices.Contains(m.strangers, s) {
			m.log.Warn("another program is a member of the service's consumer group and takes messages away: " + s.String())
		}
	}
	m.strangers = strangers
	return nil
}

// remark sets the remarks of readiness. They replace those of the round before, so a remark ends with its cause.
func (m *monitor) remark(states map[string]kafka.TopicState) {
	var told []string
	if fewer := few(m.cfg, m.uses, states); fewer != "" {
		told = append(told, fewer)
	}
	told = append(told, m.openTransactions(time.Now())...)
	for _, s := range m.strangers {
		told = append(told, "another program is a member of the service's consumer group and takes messages away: "+s.String())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = told
}
