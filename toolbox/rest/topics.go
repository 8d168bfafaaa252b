package rest

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// partitionView, replicaView and topicView are the API's own words for Kafka's metadata.
type partitionView struct {
	Partition int32         `json:"partition"`
	Leader    int32         `json:"leader"`
	Replicas  []replicaView `json:"replicas"`
}

type replicaView struct {
	Broker int32 `json:"broker"`
	Leader bool  `json:"leader"`
	InSync bool  `json:"in_sync"`
}

type topicView struct {
	Name       string            `json:"name"`
	Configs    map[string]string `json:"configs"`
	Partitions []partitionView   `json:"partitions"`
}

func (s *Server) brokers(ctx context.Context, _ *http.Request) (any, error) {
	metadata, err := s.admin.BrokerMetadata(ctx)
	return map[string][]int32{"brokers": metadata.Brokers.NodeIDs()}, err
}

// topics answers with the names of all topics that the caller may write or read, but Kafka's internal ones.
func (s *Server) topics(ctx context.Context, _ *http.Request) (any, error) {
	details, err := s.admin.ListTopics(ctx)
	return slices.DeleteFunc(details.Names(), func(topic string) bool { return visible(ctx, topic) != nil }), err
}

// topic answers with a topic's partitions and settings. Settings that Kafka calls sensitive are left out.
func (s *Server) topic(ctx context.Context, r *http.Request) (any, error) {
	name := r.PathValue("topic")
	detail, err := s.describe(ctx, name)
	if err != nil {
		return nil, err
	}
	resources, err := s.admin.DescribeTopicConfigs(ctx, name)
	if err != nil {
		return nil, err
	}
	view := topicView{Name: name, Configs: map[string]string{}, Partitions: viewAll(detail)}
	for _, resource := range resources {
		for _, config := range resource.Configs {
			if config.Value != nil && !config.Sensitive {
				view.Configs[config.Key] = *config.Value
			}
		}
	}
	return view, nil
}

func (s *Server) partitions(ctx context.Context, r *http.Request) (any, error) {
	detail, err := s.describe(ctx, r.PathValue("topic"))
	return viewAll(detail), err
}

func (s *Server) partition(ctx context.Context, r *http.Request) (any, error) {
	detail, err := s.describePartition(ctx, r)
	return view(detail), err
}

// partitionOffsets answers with the first offset that exists and the offset of the next record. The two come from two
// requests, so a busy partition may have moved in between.
func (s *Server) partitionOffsets(ctx context.Context, r *http.Request) (any, error) {
	detail, err := s.describePartition(ctx, r)
	if err != nil {
		return nil, err
	}
	offsets := map[string]int64{}
	for name, list := range map[string]func(context.Context, ...string) (kadm.ListedOffsets, error){
		"beginning_offset": s.admin.ListStartOffsets, "end_offset": s.admin.ListEndOffsets} {
		listed, err := list(ctx, detail.Topic)
		if err != nil {
			return nil, err
		}
		offset, _ := listed.Lookup(detail.Topic, detail.Partition)
		if offset.Err != nil {
			return nil, offset.Err
		}
		offsets[name] = offset.Offset
	}
	return offsets, nil
}

// describe asks Kafka for one topic. Its errors are the API's: not the caller's, not found, or not ready yet, which a retry heals. A name
// that no topic can have is not sent to Kafka.
func (s *Server) describe(ctx context.Context, topic string) (kadm.TopicDetail, error) {
	if err := visible(ctx, topic); err != nil {
		return kadm.TopicDetail{}, err
	}
	if !topicName.MatchString(topic) {
		return kadm.TopicDetail{}, topicNotFound(topic)
	}
	details, err := s.admin.ListTopicsWithInternal(ctx, topic)
	if err != nil {
		return kadm.TopicDetail{}, kafkaError(err)
	}
	detail := details[topic]
	switch {
	case detail.Err == nil && len(detail.Partitions) > 0:
		return detail, nil
	case detail.Err == nil || kerr.IsRetriable(detail.Err) && !errors.Is(detail.Err, kerr.UnknownTopicOrPartition):
		return detail, failed(codeKafkaRetriable, "Retriable Kafka error: topic %q is not ready yet", topic)
	default:
		return detail, topicNotFound(topic)
	}
}

// describePartition is describe for the partition of the path.
func (s *Server) describePartition(ctx context.Context, r *http.Request) (kadm.PartitionDetail, error) {
	topic := r.PathValue("topic")
	detail, err := s.describe(ctx, topic)
	if err != nil {
		return kadm.PartitionDetail{}, err
	}
	number, err := strconv.ParseInt(r.PathValue("partition"), 10, 32)
	partition, ok := detail.Partitions[int32(number)]
	if err != nil || !ok {
		return partition, partitionNotFound(topic, r.PathValue("partition"))
	}
	return partition, nil
}

func viewAll(detail kadm.TopicDetail) []partitionView {
	views := make([]partitionView, 0, len(detail.Partitions))
	for _, p := range detail.Partitions.Sorted() {
		views = append(views, view(p))
	}
	return views
}

func view(p kadm.PartitionDetail) partitionView {
	v := partitionView{Partition: p.Partition, Leader: p.Leader, Replicas: make([]replicaView, len(p.Replicas))}
	for i, broker := range p.Replicas {
		v.Replicas[i] = replicaView{Broker: broker, Leader: broker == p.Leader, InSync: slices.Contains(p.ISR, broker)}
	}
	return v
}

// partitions caches the number of partitions of topics, so that not every produce request asks Kafka. It is safe for
// concurrent use.
type partitions struct {
	mu    sync.Mutex
	known map[string]partitionCount
}

type partitionCount struct {
	count int32
	until time.Time
}

// remembered is how long a deleted topic can still count as existing. Its records then fail one by one.
const remembered = 30 * time.Second

// partitionsOf returns the number of partitions of the topic. If the cached number does not cover the partition wanted,
// it asks Kafka again: partitions may have been added.
func (s *Server) partitionsOf(ctx context.Context, topic string, wanted int32) (int32, error) {
	now := time.Now()
	s.known.mu.Lock()
	found := s.known.known[topic]
	s.known.mu.Unlock()
	if found.until.After(now) && wanted < found.count {
		return found.count, nil
	}
	detail, err := s.describe(ctx, topic)
	if err != nil {
		return 0, err
	}
	count := int32(len(detail.Partitions))
	s.known.mu.Lock()
	defer s.known.mu.Unlock()
	if s.known.known == nil {
		s.known.known = map[string]partitionCount{}
	}
	s.known.known[topic] = partitionCount{count, now.Add(remembered)} // only topics that may be written: few
	return count, nil
}
