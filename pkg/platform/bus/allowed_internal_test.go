package bus

import (
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/lanes"
)

func TestWhatAServiceMayNotDoWithItsTopicsIsSaid(t *testing.T) {
	t.Parallel()
	cfg := kafka.Config{TopicPrefix: "x.", Access: kafka.Access{Protocol: kafka.SASLSSL, Mechanism: kafka.Plain, Username: "ada"}}
	uses := usesOf(messages.ServiceNotifications, []string{messages.TopicNotifications})
	require.Equal(t, []use{{topic: messages.TopicNotifications, read: true, write: true}}, uses)
	uses = usesOf(messages.ServicePayments, []string{messages.TopicPayments})
	require.Contains(t, uses, use{topic: messages.TopicPayments, read: true, write: true})
	require.Contains(t, uses, use{topic: messages.TopicNotifications, write: true})

	states := func(allowed int32) map[string]kafka.TopicState {
		all := map[string]kafka.TopicState{}
		for _, u := range uses {
			all["x."+u.topic] = kafka.TopicState{Partitions: 1, Allowed: allowed}
		}
		return all
	}
	for _, allowed := range []int32{mayRead | mayWrite, kafka.NoneTold, 0} {
		require.NoError(t, judge(cfg, uses, states(allowed)))
	}
	err := judge(cfg, uses, states(mayWrite))
	require.EqualError(t, err, `user "ada" (PLAIN) may not read x.payments: give it these ACLs, docs/operations.md has the list`)
	require.ErrorIs(t, err, sarama.ErrTopicAuthorizationFailed)
	require.ErrorContains(t, judge(cfg, uses, states(mayRead)), "may not write x.payments, write x.")
	hidden := states(mayRead | mayWrite)
	hidden["x.payments"] = kafka.TopicState{Forbidden: true}
	require.ErrorContains(t, judge(cfg, uses, hidden), "may not read and write x.payments:")
	delete(hidden, "x.payments")
	require.ErrorContains(t, judge(cfg, uses, hidden), "topics are missing: [x.payments]")
}

func TestFewPartitionsAreARemarkAndNoFailure(t *testing.T) {
	t.Parallel()
	cfg := kafka.Config{TopicPrefix: "x."}
	uses := []use{{topic: messages.TopicOrders}}
	require.Empty(t, few(cfg, uses, map[string]kafka.TopicState{"x.orders": {Partitions: 6}}))
	require.Contains(t, few(cfg, uses, map[string]kafka.TopicState{"x.orders": {Partitions: 2}}), "x.orders has 2 instead of 6")
	m := newMonitor(cfg, "test", nil, nil, quiet(), lanes.NewSessions(), &lanes.Notices{})
	require.NoError(t, m.remarks())
	m.told = []string{"few"}
	var remark *Remark
	require.ErrorAs(t, m.remarks(), &remark)
	require.True(t, remark.Passed())
}

func TestAServiceNeedsWhatItReadsAndWhatTheContractLetsItWrite(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{messages.TopicPayments, messages.TopicNotifications, messages.TopicOrderFailures},
		topicsOf(messages.ServicePayments, []string{messages.TopicPayments}))
	require.Equal(t, []string{messages.TopicOrders, messages.TopicPayments, messages.TopicNotifications, messages.TopicOrderFailures},
		topicsOf(messages.ServiceOrders, []string{messages.TopicOrders}))
	require.Equal(t, []string{messages.TopicNotifications}, topicsOf(messages.ServiceNotifications, []string{messages.TopicNotifications}))
}
