package lanes

import (
	"github.com/IBM/sarama"
	"github.com/prometheus/client_golang/prometheus"
)

// countedJoins counts the sessions of one topic's consumer group: a member without partitions has sessions too.
type countedJoins struct {
	*Claims
	joins prometheus.Counter
}

func (c countedJoins) WrapConsumerGroupHandler(next sarama.ConsumerGroupHandler) sarama.ConsumerGroupHandler {
	return &joinHandler{c.Claims.WrapConsumerGroupHandler(next), c.joins}
}

type joinHandler struct {
	sarama.ConsumerGroupHandler
	joins prometheus.Counter
}

// Setup is called once in each session.
func (h *joinHandler) Setup(session sarama.ConsumerGroupSession) error {
	h.joins.Inc()
	return h.ConsumerGroupHandler.Setup(session)
}
