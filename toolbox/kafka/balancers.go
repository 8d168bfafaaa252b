package kafka

import "github.com/twmb/franz-go/pkg/kgo"

// Balancers lets a member join the groups of nearly every kind of client: range and roundrobin are what librdkafka,
// kafka-python and sarama speak when not told otherwise, range and cooperative-sticky the Java client. KafkaJS speaks
// nothing but a rule of its own name. The brokers choose a rule that all members know.
func Balancers() kgo.Opt {
	return kgo.Balancers(kgo.RangeBalancer(), kgo.RoundRobinBalancer(), kgo.StickyBalancer(), kgo.CooperativeStickyBalancer(),
		kafkaJS{kgo.RoundRobinBalancer()})
}

// kafkaJS is round robin under the name that KafkaJS gives it. Its members write and read what those of roundrobin do.
type kafkaJS struct{ kgo.GroupBalancer }

// ProtocolName implements kgo.GroupBalancer.
func (kafkaJS) ProtocolName() string { return "RoundRobinAssigner" }
