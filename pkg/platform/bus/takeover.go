package bus

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"

	"pasdetrois/pkg/platform/kafka"
)

// takeOverWithin bounds one attempt. A broker that hangs costs no more than that, and the caller tries again.
const takeOverWithin = 5 * time.Second

// TakeOver removes a dead replica from the service's consumer groups. The live ones then get its partitions at once, and not
// when its session times out. Removing a live replica does no harm: it joins again, and its records in work are redelivered to
// the partitions' new owners. A replica that is in no group is no error, and neither is an empty name or the consumer's own.
//
// The members are found by their client id, which contains the replica's name. An error about one group does not stop the others;
// all come joined. The removal makes this replica join again, so that the partitions are assigned at once.
func (c *Consumer) TakeOver(ctx context.Context, replica string) error {
	if replica == "" || replica == c.cfg.Replica {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, takeOverWithin)
	defer cancel()
	client, admin, err := kafka.Connect(ctx, c.cfg.Config, c.cfg.Service)
	if err != nil {
		return err
	}
	defer func() { _ = admin.Close() }() // closes the client with it
	groups, topics := make([]string, len(c.topics)), make(map[string]string, len(c.topics))
	for i, topic := range c.topics {
		groups[i] = c.cfg.Group(c.cfg.Service, topic)
		topics[groups[i]] = c.cfg.TopicPrefix + topic
	}
	described, err := admin.DescribeConsumerGroups(groups)
	if err != nil {
		return c.cfg.Explained("describe the consumer groups", err)
	}
	var errs []error
	for _, group := range described {
		if group.Err != sarama.ErrNoError {
			errs = append(errs, c.cfg.Explained("describe group "+group.GroupId, group.Err))
			continue
		}
		removed, err := c.removeFrom(client, group, kafka.MemberID(c.cfg.Service, replica))
		if err != nil {
			errs = append(errs, c.cfg.Explained("remove a dead replica from group "+group.GroupId, err))
		}
		if removed > 0 {
			c.log.Warn("a dead replica was removed from its consumer group", "replica", replica, "group", group.GroupId)
			c.metrics.removed.WithLabelValues(topics[group.GroupId][len(c.cfg.TopicPrefix):]).Add(float64(removed))
			c.claims.Sessions.Rejoin(topics[group.GroupId])
		}
	}
	return errors.Join(errs...)
}

// leaveVersion is the first version of the request that names members other than the sender, in its encoding for brokers
// from 2.4 on.
const leaveVersion = 4

// removeFrom removes the members with a client id from a group, and returns the number that this call removed. A member that has
// gone already counts neither as removed nor as an error.
func (c *Consumer) removeFrom(client sarama.Client, group *sarama.GroupDescription, clientID string) (removed int, err error) {
	req := &sarama.LeaveGroupRequest{Version: leaveVersion, GroupId: group.GroupId}
	for id, member := range group.Members {
		if member.ClientId == clientID {
			req.Members = append(req.Members, sarama.MemberIdentity{MemberId: id})
		}
	}
	if len(req.Members) == 0 {
		return 0, nil
	}
	coordinator, err := client.Coordinator(group.GroupId)
	if err != nil {
		return 0, err
	}
	answer, err := coordinator.LeaveGroup(req)
	if err != nil {
		return 0, err
	}
	if answer.Err != sarama.ErrNoError {
		return 0, answer.Err
	}
	for _, m := range answer.Members {
		switch m.Err {
		case sarama.ErrNoError:
			removed++
		case sarama.ErrUnknownMemberId: // another replica has removed it
		default:
			err = m.Err
		}
	}
	return removed, err
}
