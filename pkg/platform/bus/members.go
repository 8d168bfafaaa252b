package bus

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/platform/kafka"
)

// stranger is a member of one of the service's groups, but no replica of the service. A console consumer with the same group
// is one. It gets partitions, and the service misses their messages.
type stranger struct{ group, client, host string }

func (s stranger) String() string { return fmt.Sprintf("%s at %s in %s", s.client, s.host, s.group) }

// askStrangers returns the members of the groups that are no replicas of the service, each once and sorted. The client id alone
// decides.
func askStrangers(client sarama.Client, admin sarama.ClusterAdmin, service string, groups []string) ([]stranger, error) {
	described, err := admin.DescribeConsumerGroups(groups)
	if err != nil {
		return nil, fmt.Errorf("members of the consumer groups: %w", err)
	}
	var strangers []stranger
	note := func(group, id, host string) {
		if !kafka.IsReplica(service, id) {
			strangers = append(strangers, stranger{group, id, strings.TrimPrefix(host, "/")})
		}
	}
	for _, g := range described {
		for _, m := range g.Members {
			note(g.GroupId, m.ClientId, m.ClientHost)
		}
		if len(g.Members) > 0 {
			continue
		}
		// The answer has no members of a group of the newer protocol, so a second request asks for those.
		newer, err := askNewerGroup(client, g.GroupId)
		if err != nil {
			return nil, err
		}
		for _, m := range newer {
			note(g.GroupId, m.ClientID, m.ClientHost)
		}
	}
	slices.SortFunc(strangers, func(a, b stranger) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.client, b.client), cmp.Compare(a.host, b.host))
	})
	return slices.Compact(strangers), nil
}

// newerProtocol is the version of Kafka that has had consumer groups of the newer protocol from the start.
var newerProtocol = sarama.V4_0_0_0

// askNewerGroup returns the members of a group of the protocol that Kafka has from 4.0 on; none when there is no such group
// or the brokers are older. It asks on a connection of its own: the client refuses requests that are newer than
// protocolVersion.
func askNewerGroup(client sarama.Client, group string) ([]sarama.ConsumerGroupMemberDescription, error) {
	coordinator, err := client.Coordinator(group)
	if err != nil {
		return nil, fmt.Errorf("coordinator of %s: %w", group, err)
	}
	sc := *client.Config()
	sc.Version = newerProtocol
	broker := sarama.NewBroker(coordinator.Addr())
	if err := broker.Open(&sc); err != nil {
		return nil, fmt.Errorf("connect to the coordinator of %s: %w", group, err)
	}
	defer func() { _ = broker.Close() }()
	req := sarama.NewConsumerGroupDescribeRequest(newerProtocol)
	req.GroupIDs = []string{group}
	answer, err := broker.ConsumerGroupDescribe(req)
	if errors.Is(err, sarama.ErrUnsupportedVersion) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("members of %s: %w", group, err)
	}
	var members []sarama.ConsumerGroupMemberDescription
	for _, g := range answer.Groups {
		members = append(members, g.Members...) // none when it has an error, as an unknown group has
	}
	return members, nil
}
