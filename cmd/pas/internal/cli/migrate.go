package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/pgdb"
)

const (
	connectTime = 8 * time.Second
	migrateTime = 10 * time.Minute
)

func (a *app) migrate() *cobra.Command {
	var adminURL string
	var services []string
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to the newest version",
		Long: `Create the three services' roles and schemas and bring them to the newest version, in the database of the URL
given. The URL is of a superuser or a role that may create roles and schemas: DATABASE_ADMIN_URL, or
DATABASE_ADMIN_URL_FILE names a file with it. Running it again changes nothing.

Each role is called as its service. Where ORDERS_DATABASE_URL, PAYMENTS_DATABASE_URL or NOTIFICATIONS_DATABASE_URL (or
…_FILE) is set, the URL that the service itself will use, the role gets the password in it; else a new role's password is
its name, and a role that exists keeps what it has. The same is done for the role auditor with AUDIT_DATABASE_URL, or
AUDIT_ORDERS_DATABASE_URL and so on (see "pas audit").`,
		Example: `  DATABASE_ADMIN_URL=postgres://postgres:secret@localhost:5432/pasdetrois pas migrate
  DATABASE_ADMIN_URL_FILE=/run/secrets/admin_url ORDERS_DATABASE_URL_FILE=/run/secrets/orders_url pas migrate --json
  pas migrate --service orders    # where each service has a database of its own`,
		Args: args(cobra.NoArgs),
		RunE: a.runs(func(cmd *cobra.Command, _ []string) error {
			target, err := a.secret("DATABASE_ADMIN_URL", adminURL)
			if err != nil {
				return err
			}
			if target == "" {
				return usagef("no database is named: set DATABASE_ADMIN_URL (or DATABASE_ADMIN_URL_FILE) to a URL such as postgres://postgres:secret@localhost:5432/pasdetrois")
			}
			for _, service := range services {
				if !slices.Contains(migrations.Services(), service) {
					return usagef("--service %q is none of %s", service, strings.Join(migrations.Services(), ", "))
				}
			}
			passwords, err := a.passwords(services)
			if err != nil {
				return err
			}
			return a.migrateTo(cmd.Context(), target, services, passwords)
		}),
	}
	cmd.Flags().StringSliceVar(&services, "service", migrations.Services(), "services whose schemas live in this database")
	cmd.Flags().StringVar(&adminURL, "database-admin-url", "", "the URL; better in the environment, where other users do not see it")
	return cmd
}

// secret reads a setting: the flag, the variable, or the file that the variable …_FILE names.
func (a *app) secret(name, flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	path := a.Environ[name+"_FILE"]
	switch {
	case path == "":
		return a.Environ[name], nil
	case a.Environ[name] != "":
		return "", usagef("%s and %s_FILE are both set: keep one", name, name)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", usagef("%s_FILE: %s", name, err)
	}
	return strings.TrimSpace(string(content)), nil
}

// passwords reads the passwords of the services' roles and of the auditor from the URLs that they will use, where those are
// known.
func (a *app) passwords(services []string) (map[string]string, error) {
	passwords := map[string]string{}
	var auditSetting string // where the auditor's password is from
	for _, service := range services {
		setting := strings.ToUpper(service) + "_DATABASE_URL"
		own, err := a.secret(setting, "")
		if err != nil {
			return nil, err
		}
		password, err := passwordOf(service, setting, own)
		if err != nil {
			return nil, err
		}
		if password != "" {
			passwords[service] = password
		}

		setting, own, err = a.auditSetting(service, "")
		if err != nil {
			return nil, err
		}
		if password, err = passwordOf(migrations.Auditor, setting, own); err != nil {
			return nil, err
		}
		switch before := passwords[migrations.Auditor]; {
		case password == "" || password == before:
		case before != "":
			return nil, usagef("%s and %s have different passwords for the role %s: where each service has a database of its own, migrate one after the other with --service",
				auditSetting, setting, migrations.Auditor)
		default:
			passwords[migrations.Auditor], auditSetting = password, setting
		}
	}
	return passwords, nil
}

// passwordOf returns the password that the URL of a setting has for a role; "" when there is none.
func passwordOf(role, setting, target string) (string, error) {
	if target == "" {
		return "", nil
	}
	u, err := url.Parse(target)
	if err != nil || u.User == nil || u.User.Username() != role {
		return "", usagef("%s is not a URL with the user %[2]s, such as postgres://%[2]s:secret@localhost:5432/pasdetrois", setting, role)
	}
	password, _ := u.User.Password()
	return password, nil
}

func (a *app) migrateTo(ctx context.Context, target string, services []string, passwords map[string]string) error {
	u, err := url.Parse(target)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return usagef("DATABASE_ADMIN_URL is not a URL such as postgres://postgres:secret@localhost:5432/pasdetrois")
	}
	if err := reachable(ctx, target); err != nil {
		return hint(fmt.Errorf("cannot connect to Postgres at %s: %w", u.Host, err), "check host, port, database, user and password in DATABASE_ADMIN_URL")
	}
	ctx, cancel := context.WithTimeout(ctx, migrateTime)
	defer cancel()
	roles := slices.Sorted(maps.Keys(passwords))
	for _, role := range roles {
		if err := migrations.SetPassword(ctx, target, role, passwords[role]); err != nil {
			return explainServer(fmt.Errorf("migrate %s: %w", u.Redacted(), err))
		}
	}
	for _, service := range services {
		if err := migrations.UpService(ctx, target, service); err != nil {
			return explainServer(fmt.Errorf("migrate %s: %w", u.Redacted(), err))
		}
	}
	if a.json {
		return a.printer().JSON(map[string]any{"database": u.Redacted(), "migrated": services,
			"passwords_set": roles})
	}
	for _, role := range roles {
		a.printer().Line("The role %s has the password of its URL.", role)
	}
	a.printer().Line("At the newest version in %s: %s.", u.Redacted(), strings.Join(services, ", "))
	return nil
}

// reachable connects once, so that a wrong address is told within seconds.
func reachable(ctx context.Context, target string) error {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	conn, err := connect(ctx, target)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// connect connects to the Postgres server itself. Its errors are short: what the server says, or why there is none.
func connect(ctx context.Context, target string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(target)
	if err != nil {
		return nil, err
	}
	conn, err := pgdb.ConnectDirect(ctx, cfg)
	if err == nil {
		return conn, nil
	}
	var answer *pgconn.PgError
	var number syscall.Errno
	switch {
	case errors.As(err, &answer):
		return nil, errors.New(answer.Message)
	case errors.As(err, &number):
		return nil, number
	case ctx.Err() != nil:
		return nil, errors.New("no answer in time")
	default:
		return nil, err
	}
}
