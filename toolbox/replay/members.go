package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/toolbox/client"
)

// BusyError says that a group which must be empty has members. Members may be empty: a member came and left.
type BusyError struct {
	Service   string
	Group     string
	Members   []Member
	Strangers bool // some are no replicas of the service
	Moved     bool // another group of the service was moved back before
}

// Member is a member of a consumer group, as the brokers describe it.
type Member struct{ ClientID, Host string }

func (e *BusyError) Error() string {
	named := make([]string, len(e.Members))
	for i, m := range e.Members {
		named[i] = m.ClientID + " at " + m.Host
	}
	if len(named) == 0 {
		return fmt.Sprintf("another member joined the consumer group %s just now", e.Group)
	}
	return fmt.Sprintf("the consumer group %s still has %d members, %s", e.Group, len(named), strings.Join(named, ", "))
}

// Hint says how to empty the group: end the other program, or pause the replica that was not named.
func (e *BusyError) Hint() string {
	moved := "nothing was moved back"
	if e.Moved {
		moved = "groups that were moved back before stay so, and their records are handled again"
	}
	if e.Strangers {
		return fmt.Sprintf("a member that is not called pasdetrois-%[1]s is another program and takes messages of %[1]s away: end it, then replay again; %[2]s",
			e.Service, moved)
	}
	return fmt.Sprintf("give the admin URL of every replica of %s with --admin; %s", e.Service, moved)
}

// members returns a *BusyError for the first group that has members. They are sorted, so that the same error has the
// same text. A member counts as a replica of the service by its client id.
func (b *brokers) members(ctx context.Context, service string, groups []client.ConsumerGroup) error {
	for _, g := range groups {
		members, err := b.membersOf(ctx, g.Group)
		if err != nil {
			return fmt.Errorf("ask for the members of %s: %w", g.Group, err)
		}
		if len(members) == 0 {
			continue
		}
		replica := func(m Member) bool { return kafka.IsReplica(service, m.ClientID) }
		slices.SortFunc(members, func(a, b Member) int { return strings.Compare(a.ClientID+" "+a.Host, b.ClientID+" "+b.Host) })
		return &BusyError{Service: service, Group: g.Group, Members: members, Strangers: slices.ContainsFunc(members, func(m Member) bool { return !replica(m) })}
	}
	return nil
}

// membersOf asks for the members with both group protocols, because each request finds only groups of its own protocol.
// An error of the newer one counts as no members. That is safe: the brokers themselves reject a reset of a group with
// members.
func (b *brokers) membersOf(ctx context.Context, group string) (members []Member, err error) {
	note := func(id, host string) { members = append(members, Member{id, strings.TrimPrefix(host, "/")}) }
	classic, err := b.admin.DescribeGroups(ctx, group)
	if err != nil {
		return nil, err
	}
	g := classic[group]
	for _, m := range g.Members {
		note(m.ClientID, m.ClientHost)
	}
	switch {
	case g.Err != nil && !errors.Is(g.Err, kerr.GroupIDNotFound):
		return nil, g.Err
	case len(members) > 0:
		return members, nil
	}
	newer, err := b.admin.DescribeConsumerGroups(ctx, group)
	if err != nil {
		return members, nil //nolint:nilerr // brokers before Kafka 4.0 have no such groups
	}
	n := newer[group] // one that is unknown has no members
	for _, m := range n.Members {
		note(m.ClientID, m.ClientHost)
	}
	return members, nil
}
