package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill/message"
)

// health checks that every consumer group of this process has its partitions. The benchmark places no order
// before: the first orders would otherwise measure the rebalance.
type health struct {
	admin  sarama.ClusterAdmin
	router *message.Router
	groups []string
}

// newHealth connects to the broker, as the peer's own health check needs it. The groups are added later.
func newHealth(cfg config, router *message.Router) (*health, error) {
	c := sarama.NewConfig()
	c.ClientID = clientID
	c.Version = sarama.V2_8_0_0
	admin, err := sarama.NewClusterAdmin(cfg.Brokers, c)
	if err != nil {
		return nil, fmt.Errorf("connect to %v: %w", cfg.Brokers, err)
	}
	return &health{admin: admin, router: router}, nil
}

// check returns nil when the router runs and all groups are assigned.
func (h *health) check() error {
	if !h.router.IsRunning() || h.router.IsClosed() {
		return errors.New("the router does not run")
	}
	return assigned(h.admin, h.groups)
}

// assigned returns nil when every group is stable: it has members that agree on their partitions.
func assigned(admin sarama.ClusterAdmin, names []string) error {
	groups, err := admin.DescribeConsumerGroups(slices.Clone(names))
	if err != nil {
		return err
	}
	for _, group := range groups {
		if group.State != "Stable" || len(group.Members) == 0 {
			return fmt.Errorf("consumer group %s is %s with %d members", group.GroupId, group.State, len(group.Members))
		}
	}
	return nil
}

// ServeHTTP answers 200 when check holds, and 503 with the reason otherwise.
func (h *health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if err := h.check(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}
