package rebuild

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/pkg/platform/wait"
	"pasdetrois/toolbox/feed"
	toolkafka "pasdetrois/toolbox/kafka"
)

// brokers asks for offsets, members and topics, and moves groups. It joins no group.
type brokers struct {
	cfg    kafka.Config
	client *kgo.Client
	admin  *kadm.Client
	cut    context.CancelFunc
	// patience bounds each request.
	patience time.Duration
}

func connect(ctx context.Context, cfg kafka.Config, patience time.Duration) (*brokers, error) {
	options, err := toolkafka.Options(cfg)
	if err != nil {
		return nil, err
	}
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	c, err := kgo.NewClient(append(options, kgo.WithContext(life))...)
	if err != nil {
		cut()
		return nil, err
	}
	b := &brokers{cfg: cfg, client: c, admin: kadm.NewClient(c), cut: cut, patience: patience}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	inTime := context.AfterFunc(ctx, cut) // a broker that never answers blocks the first request beyond ctx
	err = kafka.Reach(ctx, c)
	if inTime() && err == nil {
		return b, nil
	}
	b.close()
	if ctx.Err() != nil {
		return nil, toolkafka.Unanswered(cfg, ctx.Err())
	}
	return nil, fmt.Errorf("connect to Kafka at %s: %w", strings.Join(cfg.Brokers, ","), err)
}

func (b *brokers) close() {
	b.cut()
	b.client.Close()
}

// groups returns the consumer groups of a service.
func groups(service string) []messages.Group {
	return slices.DeleteFunc(messages.Groups(), func(g messages.Group) bool { return g.Service != service })
}

// retried asks again while Kafka only needs time. On a cluster without groups, the first question about one makes its internal
// topic.
func (b *brokers) retried(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		var shards *kadm.ShardErrors
		if errors.As(err, &shards) && len(shards.Errs) > 0 {
			err = shards.Errs[0].Err
		}
		if err == nil || !kerr.IsRetriable(err) || !wait.Sleep(ctx, retryPause) {
			return err
		}
	}
}

// retryPause is the time between two questions.
const retryPause = 250 * time.Millisecond

// ignoring returns nil for one error.
func ignoring(err, ignored error) error {
	if errors.Is(err, ignored) {
		return nil
	}
	return err
}

// empty returns a *MembersError when a group of the service has members. Groups of the newer protocol are asked for apart, and
// brokers without it have none.
func (b *brokers) empty(ctx context.Context, service string) error {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	for _, g := range groups(service) {
		name := b.cfg.GroupPrefix + g.String()
		var members []string
		var classic kadm.DescribedGroups
		err := b.retried(ctx, func() (err error) {
			if classic, err = b.admin.DescribeGroups(ctx, name); err == nil {
				err = ignoring(classic.Error(), kerr.GroupIDNotFound)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("ask for the members of %s: %w", name, err)
		}
		for _, m := range classic[name].Members {
			members = append(members, m.ClientID+" at "+strings.TrimPrefix(m.ClientHost, "/"))
		}
		if newer, err := b.admin.DescribeConsumerGroups(ctx, name); err == nil {
			for _, m := range newer[name].Members {
				members = append(members, m.ClientID+" at "+strings.TrimPrefix(m.ClientHost, "/"))
			}
		}
		if len(members) > 0 {
			slices.Sort(members)
			return &MembersError{Service: service, Group: name, Members: members}
		}
	}
	return nil
}

// topicIDs returns the ids of the contract's topics. A missing topic is missing in the map, and so is an id that Kafka lacks.
func (b *brokers) topicIDs(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	request := kmsg.NewPtrMetadataRequest() // of its own: the client's may be an old answer
	for _, topic := range messages.TopicNames() {
		request.Topics = append(request.Topics, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr(b.cfg.TopicPrefix + topic)})
	}
	answer, err := request.RequestWith(ctx, b.client)
	if err != nil {
		return nil, fmt.Errorf("ask for the ids of the topics: %w", err)
	}
	ids := map[string]string{}
	for _, t := range answer.Topics {
		if t.Topic != nil && kerr.ErrorForCode(t.ErrorCode) == nil && t.TopicID != [16]byte{} {
			ids[strings.TrimPrefix(*t.Topic, b.cfg.TopicPrefix)] = base64.RawURLEncoding.EncodeToString(t.TopicID[:])
		}
	}
	return ids, nil
}

// unchanged returns a *feed.RemadeError when a topic has another id than it had.
func (b *brokers) unchanged(ctx context.Context, ids map[string]string) error {
	now, err := b.topicIDs(ctx)
	if err != nil {
		return err
	}
	for _, topic := range messages.TopicNames() {
		if ids[topic] != now[topic] {
			return &feed.RemadeError{Topic: topic}
		}
	}
	return nil
}

// committed returns the committed offsets of the service's groups. An offset that was committed for another topic of the
// same name does not count: the service begins anew there.
func (b *brokers) committed(ctx context.Context, service string, ids map[string]string) (map[rebuild.Place]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	all := map[rebuild.Place]int64{}
	for _, g := range groups(service) {
		name := b.cfg.GroupPrefix + g.String()
		var fetched kadm.OffsetResponses
		err := b.retried(ctx, func() (err error) {
			if fetched, err = b.admin.FetchOffsets(ctx, name); err == nil {
				err = fetched.Error()
			}
			return ignoring(err, kerr.GroupIDNotFound)
		})
		if err != nil {
			return nil, fmt.Errorf("ask how far %s is: %w", name, err)
		}
		for partition, o := range fetched[b.cfg.TopicPrefix+g.Topic] {
			if in := kafka.TopicIDBeside(o.Metadata); o.At >= 0 && (in == "" || ids[g.Topic] == "" || in == ids[g.Topic]) {
				all[rebuild.Place{Topic: g.Topic, Partition: partition}] = o.At
			}
		}
	}
	return all, nil
}

// offsets returns the first offsets and the readable ends of all partitions.
func (b *brokers) offsets(ctx context.Context) (starts, ends map[rebuild.Place]int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	var names []string
	for _, topic := range messages.TopicNames() {
		names = append(names, b.cfg.TopicPrefix+topic)
	}
	if starts, err = b.listed(b.admin.ListStartOffsets(ctx, names...)); err != nil {
		return nil, nil, err
	}
	ends, err = b.listed(b.admin.ListCommittedOffsets(ctx, names...))
	return starts, ends, err
}

func (b *brokers) listed(offsets kadm.ListedOffsets, err error) (map[rebuild.Place]int64, error) {
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask Kafka for offsets: %w", err)
	}
	all := map[rebuild.Place]int64{}
	offsets.Each(func(o kadm.ListedOffset) {
		all[rebuild.Place{Topic: strings.TrimPrefix(o.Topic, b.cfg.TopicPrefix), Partition: o.Partition}] = o.Offset
	})
	return all, nil
}

// move commits the offsets of a group. The brokers reject that while the group has members.
func (b *brokers) move(ctx context.Context, service string, g messages.Group, to map[int32]int64, topicID string) error {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	name := b.cfg.GroupPrefix + g.String()
	var offsets kadm.Offsets
	for partition, at := range to {
		offsets.Add(kadm.Offset{Topic: b.cfg.TopicPrefix + g.Topic, Partition: partition, At: at, LeaderEpoch: -1, Metadata: kafka.BesideOffset(topicID)})
	}
	done, err := b.admin.CommitOffsets(ctx, name, offsets)
	if err == nil {
		err = done.Error()
	}
	if errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.IllegalGeneration) {
		return &MembersError{Service: service, Group: name}
	}
	if err != nil {
		return fmt.Errorf("move %s back: %w", name, err)
	}
	return nil
}
