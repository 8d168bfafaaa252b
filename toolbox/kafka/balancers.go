package kafka

import "github.com/twmb/franz-go/pkg/kgo"

// Balancers lets a member join the groups of nearly every kind of client. librdkafka, kafka-python and sarama have
// range and roundrobin as their defaults, the Java client has range and cooperative-sticky. KafkaJS has only a rule
// with a name of its own. The brokers choose a rule that all members have.
func Balancers() kgo.Opt {
	return kgo.Balancers(kgo.RangeBalancer(), kgo.RoundRobinBalancer(), kgo.StickyBalancer(), kgo.CooperativeStickyBalancer(),
		kafkaJS{kgo.RoundRobinBalancer()})
}

// kafkaJS is round robin under the name that KafkaJS gives it. Its members write and read the same bytes as those of
// roundrobin.
type kafkaJS struct{ kgo.GroupBalancer }

// ProtocolName implements kgo.GroupBalancer.
func (kafkaJS) ProtocolName() string { return "RoundRobinAssigner" }
