package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The roles: three services, and a look at what they did.
const (
	roleOrders        = "orders"
	rolePayments      = "payments"
	roleNotifications = "notifications"
	roleAudit         = "audit"
)

// How handlers publish: into the database within their transaction, for the Forwarder, or to Kafka after their commit.
const (
	outputsForwarder = "forwarder"
	outputsDirect    = "direct"
)

type config struct {
	roles                    []string
	brokers                  []string
	topicPrefix, groupPrefix string
	databaseURL              string
	httpAddr                 string
	outputs                  string
	pollInterval             time.Duration // of the Forwarder's subscriber, when its table has nothing new
}

// readConfig reads the environment. It tells everything that is wrong with it at once.
func readConfig(getenv func(string) string, role string) (config, error) {
	services := []string{roleOrders, rolePayments, roleNotifications}
	cfg := config{
		roles:       services,
		topicPrefix: getenv("KAFKA_TOPIC_PREFIX"), groupPrefix: getenv("KAFKA_GROUP_PREFIX"),
		databaseURL: getenv("DATABASE_ADMIN_URL"), httpAddr: getenv("HTTP_ADDR"),
		outputs: outputsForwarder, pollInterval: 10 * time.Millisecond,
	}
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	switch {
	case role == "":
	case slices.Contains(services, role):
		cfg.roles = []string{role}
	case role == roleAudit:
		cfg.roles = nil
	default:
		wrong("%q is none of orders, payments, notifications, audit", role)
	}
	if cfg.databaseURL == "" {
		wrong("DATABASE_ADMIN_URL is missing")
	}
	if len(cfg.roles) > 0 {
		if brokers := getenv("KAFKA_BROKERS"); brokers != "" {
			cfg.brokers = strings.Split(brokers, ",")
		} else {
			wrong("KAFKA_BROKERS is missing")
		}
		if cfg.httpAddr == "" {
			wrong("HTTP_ADDR is missing")
		}
	}
	if outputs := getenv("OUTPUTS"); outputs != "" {
		cfg.outputs = outputs
	}
	if cfg.outputs != outputsForwarder && cfg.outputs != outputsDirect {
		wrong("OUTPUTS must be forwarder or direct, not %q", cfg.outputs)
	}
	if text := getenv("FORWARDER_POLL_INTERVAL"); text != "" {
		interval, err := time.ParseDuration(text)
		if err != nil || interval <= 0 {
			wrong("FORWARDER_POLL_INTERVAL must be a time above 0, such as 10ms, not %q", text)
		}
		cfg.pollInterval = interval
	}
	return cfg, errors.Join(problems...)
}
