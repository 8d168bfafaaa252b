package kafka

import (
	"context"
	"fmt"

	"github.com/IBM/sarama"
)

// Connect opens a connection for questions about the cluster, apart from those that carry messages: a fetch that waits for
// records would delay an answer. It is closed when ctx ends. Closing the ClusterAdmin closes the client too.
//
// Connect tries the bootstrap addresses with one retry, so that it fails soon; the caller repeats it. When no bootstrap
// address can be used, the error is a *Problem if its cause is known.
func Connect(ctx context.Context, cfg Config, service string) (sarama.Client, sarama.ClusterAdmin, error) {
	sc := ClientConfig(ctx, ClientID(service)+"-admin")
	sc.Metadata.Retry.Max = 1
	if err := cfg.Secure(sc); err != nil {
		return nil, nil, err
	}
	client, err := sarama.NewClient(cfg.Brokers, sc)
	if err != nil {
		return nil, nil, cfg.Explained(fmt.Sprintf("connect to %v", cfg.Brokers), err)
	}
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		_ = client.Close()
		return nil, nil, fmt.Errorf("connect to %v: %w", cfg.Brokers, err)
	}
	return client, admin, nil
}
