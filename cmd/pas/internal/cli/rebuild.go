package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/erasure"
	"pasdetrois/pkg/platform/kafka"
	state "pasdetrois/pkg/platform/rebuild"
	"pasdetrois/pkg/platform/signing"
	"pasdetrois/services/notifications"
	"pasdetrois/services/orders"
	"pasdetrois/services/payments"
	"pasdetrois/toolbox/hint"
	"pasdetrois/toolbox/rebuild"
)

// allServices is the value of --service that stands for each of them.
const allServices = "all"

// rebuildFlags are the flags of `pas rebuild`, as given.
type rebuildFlags struct {
	service, databaseURL, data, provider string
	dryRun                               bool
}

// rebuild makes `pas rebuild`. The protocol is that of toolbox/rebuild, the rules are those of each service. This file finds
// the databases, and joins the two.
func (a *app) rebuild() *cobra.Command {
	at, flags := &kafkaFlags{}, &rebuildFlags{}
	cmd := &cobra.Command{
		Use:   "rebuild --service SERVICE|all",
		Short: "Make a service's state again from the topics, over an empty or a restored database",
		Long: `Read the four topics from their beginning and write the rows of a service that follow from them: what was decided stays
decided. Nothing is charged, refunded or sent again. Restore the database first, or migrate an empty one with "pas migrate".
Rows that are ahead of the topics stay. What has no outcome on the topics is left to the service: its consumer groups are moved
back to the first such record, never forward. What the topics do not tell any more is listed with what to do.

Stop the service before. Start it when this has ended with 0, or with 1 and "the rebuild is complete". A rebuild that was ended
continues where it was: run it again. --dry-run shows what would differ; it changes no row and moves no group.

The database: ORDERS_DATABASE_URL, PAYMENTS_DATABASE_URL or NOTIFICATIONS_DATABASE_URL, the URL that the service itself uses;
for one service also --database-url or DATABASE_URL; each variable also as …_FILE. The login must be the service's own, because
rows are written. Kafka: as for the services, KAFKA_GROUP_PREFIX too. With --data, the database and the broker are those of a
"pas up" that has stopped. PAYMENT_TIMEOUT, PROVIDER_URL and EVENT_TRUSTED_KEYS are read as the services read them. With trusted
keys, events that move money count only when they are signed.

The records are kept in the service's schema meanwhile, compressed: about 1 GB for 1,000,000 orders.
Exit code 1: the rebuild is complete and some findings need an operator, or it failed and is not complete.`,
		Example: `  ORDERS_DATABASE_URL=postgres://orders:secret@localhost:5432/pasdetrois pas rebuild --service orders --dry-run
  pas rebuild --service all --brokers localhost:9092
  pas rebuild --service notifications --json | jq '.services[].findings[] | select(.kind == "unknown")'
  pas rebuild --service all --data pas-data`,
		Args: args(cobra.NoArgs),
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error { return a.rebuildServices(cmd.Context(), at, flags) }),
	}
	f := cmd.Flags()
	at.addTo(f)
	f.StringVar(&flags.service, "service", "", "orders, payments, notifications, or all")
	f.BoolVar(&flags.dryRun, "dry-run", false, "show what would differ, and change nothing")
	f.StringVar(&flags.databaseURL, "database-url", "", "the database of the one service; better in the environment, where other users do not see it")
	f.StringVar(&flags.data, "data", "", "the data folder of a `pas up` that has stopped")
	f.StringVar(&flags.provider, "provider-url", "", "the payment provider, as payments has it (default $PROVIDER_URL, else simulated:)")
	return cmd
}

// rebuilding is what is needed for one service.
type rebuilding struct {
	service, database string
}

// rebuildServices finds all mistakes in the flags, then rebuilds one service after the other.
func (a *app) rebuildServices(ctx context.Context, at *kafkaFlags, flags *rebuildFlags) error {
	services := []string{flags.service}
	switch {
	case flags.service == "":
		return usagef("--service is missing: give one of %s, or %s", strings.Join(messages.Services(), ", "), allServices)
	case flags.service == allServices:
		services = messages.Services()
	case !slices.Contains(messages.Services(), flags.service):
		return usagef("--service %q is not one of %s, and not %s", flags.service, strings.Join(messages.Services(), ", "), allServices)
	}
	wait, err := a.paymentTimeout()
	if err != nil {
		return err
	}
	if flags.data != "" && (flags.databaseURL != "" || len(at.brokers) > 0) {
		return usagef("--data has a database and a broker: leave --database-url and --brokers out")
	}
	kafka, err := a.kafka(*at)
	if err != nil {
		return err
	}
	trusted, err := a.trusted()
	if err != nil {
		return err
	}
	var todo []rebuilding
	for _, service := range services {
		database := ""
		if flags.data == "" {
			if database, err = a.serviceURL(service, flags.databaseURL, len(services) == 1); err != nil {
				return err
			}
		}
		todo = append(todo, rebuilding{service, database})
	}
	if flags.data != "" {
		s, err := openStopped(ctx, flags.data, !flags.dryRun)
		if err != nil {
			return err
		}
		defer func() { _ = s.Stop() }()
		kafka.Brokers, kafka.TopicPrefix, kafka.GroupPrefix = s.Brokers(), "", ""
		for i := range todo {
			todo[i].database = s.ServiceURL(todo[i].service)
		}
	}
	show := a.showsRebuilt(flags.dryRun)
	var unknown int64 // that a person has to look at
	for _, one := range todo {
		report, err := a.rebuildOne(ctx, kafka, trusted, one, flags, wait, show)
		if err != nil {
			var old *rebuild.DatabaseError
			if flags.data != "" && flags.dryRun && errors.As(err, &old) {
				err = hint.Add(err, "a rebuild without --dry-run brings the schemas of the folder to this version, and so does `pas up`")
			}
			return errors.Join(show.end(), err)
		}
		unknown += report.ToDo
	}
	if err := show.end(); err != nil {
		return err
	}
	switch each := "each is listed above, or with --json, with what to do"; {
	case unknown > 0 && flags.dryRun:
		return hint.Add(fmt.Errorf("%d things cannot be known", unknown), "%s", each)
	case unknown > 0:
		return hint.Add(fmt.Errorf("the rebuild is complete, and %s may start; %d things cannot be known", named(services), unknown), "%s", each)
	}
	return nil
}

// named joins the names of services.
func named(services []string) string {
	if len(services) == 1 {
		return services[0]
	}
	return "the services"
}

func (a *app) rebuildOne(ctx context.Context, at kafka.Config, trusted *signing.Keys, one rebuilding, flags *rebuildFlags, wait time.Duration, show *rebuilt) (*rebuild.Report, error) {
	pool, err := rebuild.Open(one.database, one.service)
	if err != nil {
		return nil, usagef("the database URL of %s: %s", one.service, err)
	}
	defer pool.Close()
	made, err := a.stateOf(one.service, pool, flags, wait)
	if err != nil {
		return nil, err
	}
	keys, err := erasure.Settings{KeyFile: a.erasureKeyFile(flags.data)}.Keys()
	if err != nil {
		return nil, usagef("%s", err)
	}
	line := a.liveLine()
	show.begin(one.service)
	report, err := rebuild.Run(ctx, rebuild.Config{Service: one.service, Kafka: at, Pool: pool, State: made, Trusted: trusted, DryRun: flags.dryRun, Erasing: keys,
		OpenTime: a.Patience, Found: show.found, Progress: func(p rebuild.Progress) { line.rebuilt(one.service, p) }})
	line.end()
	return report, errors.Join(show.report(report), err)
}

// erasureKeyFile returns the file that the services have: the one in the environment, else the one of a data folder.
func (a *app) erasureKeyFile(data string) string {
	if named := a.Environ["ERASURE_KEY_FILE"]; named != "" || data == "" {
		return named
	}
	kept := filepath.Join(data, erasureKey)
	if _, err := os.Stat(kept); errors.Is(err, fs.ErrNotExist) {
		return "" // a folder of an earlier version has no erased users
	}
	return kept
}

// stateOf returns the rules of a service.
func (a *app) stateOf(service string, pool *pgxpool.Pool, flags *rebuildFlags, wait time.Duration) (state.State, error) {
	switch service {
	case messages.ServiceOrders:
		return orders.NewState(pool, wait), nil
	case messages.ServicePayments:
		provider := flags.provider
		if provider == "" {
			var err error
			if provider, err = a.secret("PROVIDER_URL", ""); err != nil {
				return nil, err
			}
		}
		made, err := payments.NewState(pool, provider)
		if err != nil {
			return nil, usagef("%s", err)
		}
		return made, nil
	case messages.ServiceNotifications:
		return notifications.NewState(pool), nil
	default:
		return nil, usagef("%s cannot be rebuilt by this version", service)
	}
}

// paymentTimeout is the setting of orders, 0 without it.
func (a *app) paymentTimeout() (time.Duration, error) {
	text := a.Environ["PAYMENT_TIMEOUT"]
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait <= 0 {
		return 0, usagef("PAYMENT_TIMEOUT %q is not a duration such as 15m", text)
	}
	return wait, nil
}

// serviceURL returns the database of a service, with the service's own login. The error never contains the URL, which may have
// a password.
func (a *app) serviceURL(service, flag string, alone bool) (string, error) {
	variable := strings.ToUpper(service) + "_DATABASE_URL"
	if flag != "" && !alone {
		return "", usagef("--database-url is of one service: set %s and so on, because each service has a login of its own", variable)
	}
	target, err := a.secret(variable, flag)
	if err == nil && target == "" && alone {
		target, err = a.secret("DATABASE_URL", "")
	}
	if err != nil {
		return "", err
	}
	if target == "" {
		return "", usagef("no database of %s is named: set %s (or %s_FILE) to the URL that the service uses, such as postgres://%s:secret@localhost:5432/pasdetrois; or give --data",
			service, variable, variable, service)
	}
	if u, err := url.Parse(target); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", usagef("the database URL of %s is not a URL such as postgres://%s:secret@localhost:5432/pasdetrois", service, service)
	}
	return target, nil
}

// openStopped opens the data folder of a `pas up` that has stopped. A dry run does not migrate its schemas.
func openStopped(ctx context.Context, data string, migrate bool) (*stack.Stopped, error) {
	data, err := filepath.Abs(data)
	if err != nil {
		return nil, usagef("--data: %s", err)
	}
	if runsIn(data) {
		return nil, hint.Add(fmt.Errorf("a `pas up` runs with its data in %s", data), "end it with Ctrl-C, and start it again afterwards")
	}
	s, err := stack.OpenStopped(ctx, data, migrate)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usagef("--data: %s has no data of a `pas up`", data)
	}
	return s, err
}
