package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caarlos0/env/v11"
)

// The roles: three services, and an audit of their rows.
const (
	roleOrders        = "orders"
	rolePayments      = "payments"
	roleNotifications = "notifications"
	roleAudit         = "audit"
)

// config is the environment that the benchmark gives to every peer. roles are the services that run in this
// process.
type config struct {
	roles       []string
	Brokers     []string `env:"KAFKA_BROKERS,notEmpty"`
	TopicPrefix string   `env:"KAFKA_TOPIC_PREFIX"`
	GroupPrefix string   `env:"KAFKA_GROUP_PREFIX"`
	DatabaseURL string   `env:"DATABASE_ADMIN_URL,notEmpty"`
	HTTPAddr    string   `env:"HTTP_ADDR" envDefault:"127.0.0.1:0"`
}

// readConfig reads the environment; nil means the process's own. An empty role means all three services. The
// error names every mistake.
func readConfig(environment map[string]string, role string) (config, error) {
	cfg := config{roles: []string{roleOrders, rolePayments, roleNotifications}}
	err := env.ParseWithOptions(&cfg, env.Options{Environment: environment})
	switch {
	case slices.Contains(cfg.roles, role):
		cfg.roles = []string{role}
	case role != "" && role != roleAudit:
		err = errors.Join(err, fmt.Errorf("%q is not one of orders, payments, notifications, audit", role))
	}
	return cfg, err
}
