package lanes

import (
	"context"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"pasdetrois/pkg/platform/kafka"
)

// patient subscribes as often as it takes, because a router that could not subscribe once cannot be started again. When
// stop ends first, there are no messages.
type patient struct {
	message.Subscriber
	stop context.Context
	log  *slog.Logger
	cfg  kafka.Config
}

func (p patient) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	for attempt := 1; ; attempt++ {
		received, err := p.Subscriber.Subscribe(ctx, topic)
		if err == nil {
			return received, nil
		}
		if p.stop.Err() == nil {
			p.log.Warn("could not subscribe, trying again", "topic", topic, "attempt", attempt, "err", p.cfg.Explain(err))
		}
		if !kafka.Pause(p.stop, kafka.Backoff(attempt, time.Second, 5*time.Second)) {
			none := make(chan *message.Message)
			close(none)
			return none, nil
		}
	}
}
