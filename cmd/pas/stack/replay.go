package stack

import (
	"context"

	"pasdetrois/migrations"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/replay"
)

// Replay lets a service read its topics again from their beginning and compares its state, as `pas replay` does.
func (s *Stack) Replay(ctx context.Context, service string) (*replay.Report, error) {
	url, err := s.databaseURL(migrations.Auditor)
	if err != nil {
		return nil, err
	}
	return replay.Run(ctx, replay.Config{Service: service, Only: -1, Replicas: []*client.Client{s.client}, Kafka: s.kafka, Database: url})
}
