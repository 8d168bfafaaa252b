package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/embedded"
	"pasdetrois/pkg/platform/pgdb"
)

// Stopped is the database and the broker of a stack whose services do not run, over its data folder.
type Stopped struct {
	postgres *embedded.Postgres
	broker   *embedded.Broker
}

// OpenStopped starts the database and the broker over the data folder of a stack that has stopped, without the services. With
// migrate the schemas are brought to the newest version; without it they stay as they are. A folder without such data is an
// error that wraps os.ErrNotExist.
func OpenStopped(ctx context.Context, dataDir string, migrate bool) (*Stopped, error) {
	for _, part := range []string{"postgres", "kafka"} {
		if _, err := os.Stat(filepath.Join(dataDir, part)); err != nil {
			return nil, err
		}
	}
	postgres, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{DataDir: filepath.Join(dataDir, "postgres"), Durable: true})
	if err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	s := &Stopped{postgres: postgres}
	for _, service := range messages.Services() { // a folder of an earlier version has others
		if err := setPasswords(ctx, postgres, migrations.RolesOf(service)); err != nil {
			return nil, errors.Join(err, s.Stop())
		}
	}
	if migrate {
		if err := migrations.Up(ctx, s.AdminURL()); err != nil {
			return nil, errors.Join(fmt.Errorf("migrate: %w", err), s.Stop())
		}
	}
	if s.broker, err = embedded.StartBroker(embedded.BrokerConfig{DataDir: filepath.Join(dataDir, "kafka")}); err != nil {
		return nil, errors.Join(fmt.Errorf("start the broker: %w", err), s.Stop())
	}
	return s, nil
}

// AdminURL returns a superuser's URL of the database.
func (s *Stopped) AdminURL() string { return s.postgres.AdminURL("postgres") }

// ServiceURL returns the URL with which a service logs in to the database.
func (s *Stopped) ServiceURL(service string) string {
	return pgdb.WithLogin(s.AdminURL(), service, s.postgres.Password(service))
}

// Brokers returns Kafka's bootstrap addresses.
func (s *Stopped) Brokers() []string { return s.broker.Addrs() }

// Stop ends both.
func (s *Stopped) Stop() error {
	if s.broker != nil {
		s.broker.Stop()
	}
	return s.postgres.Stop()
}
