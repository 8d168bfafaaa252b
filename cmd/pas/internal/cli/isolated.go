package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/toolbox/hint"
	toolkafka "pasdetrois/toolbox/kafka"
)

// cleanUpTime bounds the removal of a demo's topics and database. It starts anew after an interrupt.
const cleanUpTime = time.Minute

// borrowed describes a demo's use of foreign servers: one database with roles of its own, and prefixed topics,
// which the demo makes and removes. Nothing else on those servers is read or changed. name is random, so that
// demos can run side by side.
type borrowed struct {
	name     string
	adminURL string // of the server, "" when Postgres is embedded
	brokers  []string
	kafka    kafka.Config
}

// borrow makes a fresh database on the server that DATABASE_URL names, and sets up prefixed topics on
// KAFKA_BROKERS. It fills cfg accordingly. Without these variables it changes nothing. The result is not nil
// even with an error, so that the caller can always give back.
func (a *app) borrow(ctx context.Context, cfg *stack.Config) (*borrowed, error) {
	b := &borrowed{name: "pas_demo_" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12], adminURL: a.Environ["DATABASE_URL"]}
	if brokers := a.Environ["KAFKA_BROKERS"]; brokers != "" {
		given, err := a.kafka(kafkaFlags{})
		if err != nil {
			return b, err
		}
		b.brokers, b.kafka = given.Brokers, given
		// The stack's own clients use cfg.Kafka. The services parse the same settings from their environment.
		cfg.Kafka, cfg.Environ = given, a.kafkaEnviron()
		cfg.Brokers, cfg.TopicPrefix, cfg.GroupPrefix = b.brokers, b.name+".", b.name+"."
	}
	if b.adminURL == "" {
		return b, nil
	}
	u, err := url.Parse(b.adminURL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		b.adminURL = ""
		return b, usagef("DATABASE_URL is not a URL such as postgres://postgres:secret@localhost:5432/postgres")
	}
	// Without a database of our own there is nothing to drop: adminURL is cleared, so that giveBack leaves the
	// server alone.
	if err := b.sql(ctx, "CREATE DATABASE "+b.name); err != nil {
		b.adminURL = ""
		return b, hint.Add(fmt.Errorf("make a database for the demo at %s: %w", u.Host, err), "DATABASE_URL must name a superuser; unset it to use a private Postgres")
	}
	// The stack migrates this new database; the one in DATABASE_URL is used to create and drop it only.
	u.Path = "/" + b.name
	cfg.DatabaseURL, cfg.RolePrefix = u.String(), b.rolePrefix()
	return b, nil
}

// rolePrefix keeps the demo's roles apart from those of other installations on the server, whose passwords differ.
func (b *borrowed) rolePrefix() string { return b.name + "_" }

// dropRoles removes the demo's roles. They own nothing once the database is removed.
func (b *borrowed) dropRoles(ctx context.Context) error {
	var names []string
	for _, service := range messages.Services() {
		roles := migrations.Roles{Runtime: b.rolePrefix() + service, Auditor: b.rolePrefix() + migrations.Auditor}
		names = append(names, roles.Runtime, roles.Owner())
	}
	names = append(names, b.rolePrefix()+migrations.Auditor)
	return b.sql(ctx, "DROP ROLE IF EXISTS "+strings.Join(names, ", "))
}

// kafkaEnviron returns the KAFKA_ variables: with them the services of a demo authenticate at a Kafka that is
// not its own.
func (a *app) kafkaEnviron() map[string]string {
	environ := map[string]string{}
	for name, value := range a.Environ {
		if strings.HasPrefix(name, "KAFKA_") {
			environ[name] = value
		}
	}
	return environ
}

// describe names the parts that the demo starts or uses.
func (b *borrowed) describe() string {
	database, broker := "Postgres", "a broker"
	if b.adminURL != "" {
		database = "database " + b.name
	}
	if len(b.brokers) > 0 {
		broker = "topics on Kafka at " + strings.Join(b.brokers, ",")
	}
	return database + ", " + broker + " and three services in this process"
}

// giveBack removes the database and the topics. It works after a cancellation, too. DROP DATABASE uses FORCE,
// since a service that did not stop cleanly may still be connected. The error names the remains, so that a
// person can remove them.
func (b *borrowed) giveBack(ctx context.Context) error {
	// An interrupted demo must clean up as well, so the cancellation of ctx does not count here.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	var errs []error
	if b.adminURL != "" {
		if err := b.sql(ctx, "DROP DATABASE IF EXISTS "+b.name+" WITH (FORCE)"); err != nil {
			errs = append(errs, fmt.Errorf("remove the demo's database %s: %w", b.name, err))
		} else if err := b.dropRoles(ctx); err != nil {
			errs = append(errs, fmt.Errorf("remove the demo's roles %s*: %w", b.rolePrefix(), err))
		}
	}
	if len(b.brokers) > 0 {
		if err := b.deleteTopics(ctx); err != nil {
			errs = append(errs, fmt.Errorf("remove the demo's topics %s.*: %w", b.name, err))
		}
	}
	return errors.Join(errs...)
}

// sql runs one statement on the server, over a connection of its own.
func (b *borrowed) sql(ctx context.Context, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := connect(ctx, b.adminURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	_, err = conn.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol)
	return err
}

func (b *borrowed) deleteTopics(ctx context.Context) error {
	options, err := toolkafka.Options(b.kafka)
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	defer client.Close()
	names := messages.TopicNames()
	for i := range names {
		names[i] = b.name + "." + names[i]
	}
	answers, err := kadm.NewClient(client).DeleteTopics(ctx, names...)
	if err != nil {
		return err
	}
	return answers.Error()
}
