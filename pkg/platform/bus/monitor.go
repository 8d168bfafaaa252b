package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

const (
	monitorEvery = 5 * time.Second
	// monitorStale is how old the last good answer may be: a broker that hangs answers nothing, not even an error.
	monitorStale = 20 * time.Second
)

// monitor asks Kafka now and then, on a connection of its own, how far the groups are behind and whether it answers.
// Readiness and the lag metric read what it found, so neither ever waits for a broker.
type monitor struct {
	cfg     Config
	service string
	topics  []string // that the service reads
	uses    []use    // all that must be there, and allowed
	metrics *metrics

	mu     sync.Mutex
	lastOK time.Time
	err    error
	few    string // which topics have few partitions
}

func newMonitor(cfg Config, service string, topics []string, metrics *metrics) *monitor {
	return &monitor{cfg: cfg, service: service, topics: topics, uses: usesOf(service, topics), metrics: metrics, err: errors.New("not connected yet")}
}

// report records the outcome of one question to Kafka.
func (m *monitor) report(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
	if err == nil {
		m.lastOK = time.Now()
	}
}

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

// remarks returns a *Remark when there is something to know that keeps nothing from working.
func (m *monitor) remarks() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.few == "" {
		return nil
	}
	return &Remark{m.few}
}

// askOnce asks on a connection of its own.
func (m *monitor) askOnce(ctx context.Context) error {
	client, admin, err := connectAdmin(ctx, m.cfg, m.service)
	if err != nil {
		return err
	}
	defer func() { _ = admin.Close() }()
	return m.ask(client, admin)
}

// run asks until ctx ends.
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
				if client, admin, err = connectAdmin(ctx, m.cfg, m.service); err != nil {
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
		if !pause(ctx, monitorEvery) {
			return
		}
	}
}

func (m *monitor) ask(client sarama.Client, admin sarama.ClusterAdmin) error {
	names := make([]string, len(m.uses))
	for i, u := range m.uses {
		names[i] = m.cfg.TopicPrefix + u.topic
	}
	states, err := askTopics(client, names)
	if err != nil {
		return m.cfg.explain(err)
	}
	if err := m.cfg.judge(m.uses, states); err != nil {
		return err
	}
	m.mu.Lock()
	m.few = m.cfg.few(m.uses, states)
	m.mu.Unlock()
	if err := client.RefreshMetadata(names...); err != nil {
		return m.cfg.explained("list topics", err)
	}
	for _, topic := range m.topics {
		name := m.cfg.TopicPrefix + topic
		partitions, err := client.Partitions(name)
		if err != nil {
			return fmt.Errorf("topic %s: %w", name, err)
		}
		committed, err := admin.ListConsumerGroupOffsets(m.cfg.group(m.service, topic), map[string][]int32{name: partitions})
		if errors.Is(err, sarama.ErrGroupIDNotFound) {
			committed, err = &sarama.OffsetFetchResponse{}, nil // nobody ever joined it: nothing is committed
		}
		if err != nil {
			return m.cfg.explained("committed offsets of "+name, err)
		}
		for _, p := range partitions {
			newest, err := client.GetOffset(name, p, sarama.OffsetNewest)
			if err != nil {
				return fmt.Errorf("newest offset of %s/%d: %w", name, p, err)
			}
			next := int64(-1)
			if block := committed.GetBlock(name, p); block != nil {
				next = block.Offset
			}
			if next < 0 { // nothing committed yet: the group will start at the oldest record
				if next, err = client.GetOffset(name, p, sarama.OffsetOldest); err != nil {
					return fmt.Errorf("oldest offset of %s/%d: %w", name, p, err)
				}
			}
			partition := strconv.Itoa(int(p))
			m.metrics.lag.WithLabelValues(topic, partition).Set(float64(max(newest-next, 0)))
			m.metrics.next.WithLabelValues(topic, partition).Set(float64(next))
		}
	}
	return nil
}

// connectAdmin opens a connection for questions about the cluster, apart from those that carry messages. It is cut when
// ctx ends.
func connectAdmin(ctx context.Context, cfg Config, service string) (sarama.Client, sarama.ClusterAdmin, error) {
	sc := baseConfig(ctx, "pasdetrois-"+service+"-admin")
	sc.Metadata.Retry.Max = 1
	if err := cfg.secure(sc); err != nil {
		return nil, nil, err
	}
	client, err := sarama.NewClient(cfg.Brokers, sc)
	if err != nil {
		return nil, nil, cfg.explained(fmt.Sprintf("connect to %v", cfg.Brokers), err)
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		_ = client.Close()
		return nil, nil, fmt.Errorf("connect to %v: %w", cfg.Brokers, err)
	}
	return client, admin, nil
}
