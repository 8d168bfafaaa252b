package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/platform/wait"
)

// TopicSpec is one topic to create.
type TopicSpec struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16         // -1 = the cluster's default
	MinISR            int16         // copies that a write needs; 0 = the cluster's default
	MaxBytes          int32         // of one batch, as it is stored; 0 = the cluster's default
	Retention         time.Duration // 0 = the cluster's default
}

// detail is the specification as the client wants it.
func (s TopicSpec) detail() *sarama.TopicDetail {
	d := &sarama.TopicDetail{NumPartitions: s.Partitions, ReplicationFactor: s.ReplicationFactor}
	if settings := s.settings(); len(settings) > 0 {
		d.ConfigEntries = make(map[string]*string, len(settings))
		for key, value := range settings {
			d.ConfigEntries[key] = &value
		}
	}
	return d
}

// TopicInfo describes an existing topic.
type TopicInfo struct {
	Name              string
	Partitions        int32
	ReplicationFactor int16
	Configs           map[string]string // those that differ from the broker's defaults
}

// CreateTopics creates what is missing (prefix added) and returns the names it created. A topic that exists with fewer
// partitions than asked is an error that says so: adding partitions moves keys to other partitions, so that is a
// decision, not a repair.
func CreateTopics(ctx context.Context, cfg Config, specs []TopicSpec) ([]string, error) {
	var created []string
	err := withAdmin(ctx, cfg, func(client sarama.Client, admin sarama.ClusterAdmin) error {
		existing, err := partitionsOfTopics(client)
		if err != nil {
			return err
		}
		var errs []error
		for _, s := range specs {
			name := cfg.TopicPrefix + s.Name
			if have, ok := existing[name]; ok {
				if have < s.Partitions {
					errs = append(errs, fmt.Errorf("topic %s exists with %d partitions instead of %d: adding partitions moves keys, so decide: use kafka-topics --alter; or stop every service and tool that reads it, delete it, and create it again",
						name, have, s.Partitions))
				}
				continue
			}
			err := admin.CreateTopic(name, s.detail(), false)
			switch {
			case err == nil:
				created = append(created, name)
			case errors.Is(err, sarama.ErrTopicAlreadyExists): // somebody else was faster
			default:
				errs = append(errs, fmt.Errorf("create topic %s: %w", name, err))
			}
		}
		return errors.Join(append(errs, known(ctx, client, created))...)
	})
	return created, err
}

// knownTime bounds how long a broker may take to know of a topic that was made through it.
const knownTime = 30 * time.Second

// known waits until the brokers tell of the topics: Kafka answers that a topic is made before it does.
func known(ctx context.Context, client sarama.Client, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, knownTime)
	defer cancel()
	for {
		existing, err := partitionsOfTopics(client)
		if err != nil {
			return err
		}
		missing := slices.IndexFunc(names, func(name string) bool { return existing[name] == 0 })
		if missing < 0 {
			return nil
		}
		if !wait.Sleep(ctx, 50*time.Millisecond) {
			return fmt.Errorf("topic %s was made, and the brokers do not know of it: %w", names[missing], ctx.Err())
		}
	}
}

// ListTopics describes every topic that carries the prefix, prefix removed, by name. Kafka's internal topics are left out.
func ListTopics(ctx context.Context, cfg Config) ([]TopicInfo, error) {
	var infos []TopicInfo
	err := withAdmin(ctx, cfg, func(_ sarama.Client, admin sarama.ClusterAdmin) error {
		existing, err := admin.ListTopics()
		if err != nil {
			return fmt.Errorf("list topics: %w", err)
		}
		for name, d := range existing {
			short, ok := strings.CutPrefix(name, cfg.TopicPrefix)
			if !ok || strings.HasPrefix(name, "__") {
				continue
			}
			info := TopicInfo{Name: short, Partitions: d.NumPartitions, ReplicationFactor: d.ReplicationFactor, Configs: map[string]string{}}
			for k, v := range d.ConfigEntries {
				if v != nil {
					info.Configs[k] = *v
				}
			}
			infos = append(infos, info)
		}
		sort.Slice(infos, func(i, j int) bool { return infos[i].Name < infos[j].Name })
		return nil
	})
	return infos, err
}

// partitionsOfTopics returns how many partitions each topic has. It asks for nothing else: a shared Kafka has many topics,
// and their configurations take long.
func partitionsOfTopics(client sarama.Client) (map[string]int32, error) {
	if err := client.RefreshMetadata(); err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	names, err := client.Topics()
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	existing := make(map[string]int32, len(names))
	for _, name := range names {
		if partitions, err := client.Partitions(name); err == nil { // else it was deleted a moment ago
			existing[name] = int32(len(partitions))
		}
	}
	return existing, nil
}

// withAdmin runs fn with a connection and gives up when ctx ends: the client's own calls take no context.
func withAdmin(ctx context.Context, cfg Config, fn func(sarama.Client, sarama.ClusterAdmin) error) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	client, admin, err := Connect(ctx, cfg, "tool")
	if err == nil {
		err = cfg.Explain(fn(client, admin))
		_ = admin.Close() // closes the client with it
	}
	if ctx.Err() != nil {
		return fmt.Errorf("kafka at %v does not answer: %w", cfg.Brokers, ctx.Err())
	}
	return err
}
