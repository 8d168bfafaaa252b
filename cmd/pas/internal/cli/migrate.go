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
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/toolbox/hint"
)

// migrateTime bounds all migrations together.
const migrateTime = 10 * time.Minute

// migrate makes `pas migrate`. It runs in this order, and each step can be repeated:
//
//	read the URLs -> connect -> check every role -> passwords -> sequences and schemas -> change data capture
//
// Nothing is changed before all checks hold. A failure later leaves the earlier steps done; running the command
// again completes them.
func (a *app) migrate() *cobra.Command {
	var adminURL string
	var services []string
	var replace bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to the newest version",
		Long: `Create the three services' roles and schemas and bring them to the newest version, in the database of the URL
given. The URL is of a superuser or a role that may create roles and schemas: DATABASE_ADMIN_URL, or
DATABASE_ADMIN_URL_FILE names a file with it. Running it again changes nothing. After a move by logical replication it
moves the sequences behind the rows that were copied.

Where ORDERS_DATABASE_URL, PAYMENTS_DATABASE_URL or NOTIFICATIONS_DATABASE_URL (or …_FILE) is set, the URL that the
service itself will use, its user is the service's role, and the role gets the password in it. Else the role is called
as its service: a new one has its name as password, and one that exists keeps what it has. The same is done for the
role that audits, with AUDIT_DATABASE_URL, or AUDIT_ORDERS_DATABASE_URL and so on (see "pas audit"); it is called
auditor else.

A role belongs to all databases of a server. Two installations on one server need roles of other names: write them into
the URLs. A role that another database uses, too, keeps its password, and nothing is migrated, unless
--replace-passwords is given.

With CDC_DATABASE_URL (or …_FILE), the URL that change data capture will use, its role and the publication
pasdetrois_cdc are made: the role may replicate and read order_events. Without it neither is made.`,
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
				if !slices.Contains(messages.Services(), service) {
					return usagef("--service %q is not one of %s", service, strings.Join(messages.Services(), ", "))
				}
			}
			logins, err := a.logins(services)
			if err != nil {
				return err
			}
			return a.migrateTo(cmd.Context(), target, services, logins, replace)
		}),
	}
	cmd.Flags().StringSliceVar(&services, "service", messages.Services(), "services whose schemas live in this database")
	cmd.Flags().BoolVar(&replace, "replace-passwords", false, "change passwords of roles that other databases of the server use, too")
	cmd.Flags().StringVar(&adminURL, "database-admin-url", "", "the URL; better in the environment, where other users do not see it")
	return cmd
}

// secret reads a setting that may hold a password: the flag, the variable, or the file that the variable …_FILE
// names. Both variables at once are an error, since one of them must be a mistake. White space around a file's
// content is removed, because editors end files with a line break.
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

// migrateTo migrates the database of target. The output and all errors show the URL without its password.
func (a *app) migrateTo(ctx context.Context, target string, services []string, logins *logins, replace bool) error {
	u, err := url.Parse(target)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return usagef("DATABASE_ADMIN_URL is not a URL such as postgres://postgres:secret@localhost:5432/pasdetrois")
	}
	if err := a.reachable(ctx, target); err != nil {
		return hint.Add(fmt.Errorf("cannot connect to Postgres at %s: %w", u.Host, err), "check host, port, database, user and password in DATABASE_ADMIN_URL")
	}
	ctx, cancel := context.WithTimeout(ctx, migrateTime)
	defer cancel()
	// An error with a hint of its own is about a role. Any other one gets the hint for the kind of Postgres
	// server error.
	failed := func(err error) error {
		if hint.Of(err) != "" { // about a role, on any server
			return err
		}
		return hint.Server(fmt.Errorf("migrate %s: %w", u.Redacted(), err))
	}
	if err := logins.check(ctx, target, services, replace); err != nil {
		return failed(err)
	}
	roles := slices.Sorted(maps.Keys(logins.passwords))
	for _, role := range roles {
		if err := migrations.SetPassword(ctx, target, role, logins.passwords[role]); err != nil {
			return failed(err)
		}
	}
	moved := []pgdb.Sequence{}
	for _, service := range services {
		behind, err := migrations.MoveSequences(ctx, target, service, logins.roles[service])
		if err != nil {
			return failed(err)
		}
		moved = append(moved, behind...)
		if err := migrations.UpService(ctx, target, service, logins.roles[service]); err != nil {
			return failed(err)
		}
	}
	door, err := migrations.CloseDatabase(ctx, target, slices.Collect(maps.Values(logins.roles))...)
	if err != nil {
		return failed(err)
	}
	if logins.capture != "" {
		if err := migrations.AllowCapture(ctx, target, logins.capture); err != nil {
			return failed(err)
		}
	}
	if a.json {
		return a.printer().JSON(map[string]any{"database": u.Redacted(), "migrated": services, "passwords_set": roles,
			"roles": logins.view(), "sequences_moved": tables(moved), "public_may_connect": door.Open})
	}
	for _, role := range roles {
		a.printer().Line("The role %s has the password of its URL.", role)
	}
	for _, s := range moved {
		a.printer().Line("The sequence of %s was behind its rows, and is moved from %d to %d.", s.Table, s.Last, s.Highest)
	}
	// A warning only: whether two installations share a role on purpose, this command cannot decide.
	for _, role := range logins.names(services) {
		if databases, err := migrations.SharedWith(ctx, target, role); err == nil && len(databases) > 0 {
			a.printer().Line("The role %s is also used by: %s.", role, strings.Join(databases, ", "))
		}
	}
	for _, line := range doorLines(door) {
		a.printer().Line("%s", line)
	}
	a.printer().Line("At the newest version in %s: %s.", u.Redacted(), strings.Join(services, ", "))
	return nil
}

// doorLines say who may connect to the database, where an operator may have to do something about it.
func doorLines(door migrations.Door) (lines []string) {
	for _, role := range door.Kept {
		lines = append(lines, fmt.Sprintf("The role %s uses the database, too: it may still connect.", role))
	}
	for _, role := range door.Lost {
		lines = append(lines, fmt.Sprintf("The role %s may no longer connect to the database: it did so by the right of PUBLIC. GRANT CONNECT ON DATABASE lets it in again.", role))
	}
	for _, role := range door.Owns {
		lines = append(lines, fmt.Sprintf("The role %s owns the database and so may do more than a service should: ALTER DATABASE … OWNER TO another role.", role))
	}
	if door.Open {
		lines = append(lines, "Every role of the server may still connect to the database: only its owner can REVOKE CONNECT, TEMPORARY ON DATABASE … FROM PUBLIC.")
	}
	return lines
}

// tables returns the tables of sequences.
func tables(sequences []pgdb.Sequence) []string {
	names := make([]string, len(sequences))
	for i, s := range sequences {
		names[i] = s.Table
	}
	return names
}

// reachable connects once, so that a wrong address fails within the patience and not after migrateTime.
func (a *app) reachable(ctx context.Context, target string) error {
	ctx, cancel := a.patient(ctx, "Postgres")
	defer cancel()
	conn, err := connect(ctx, target)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// connect connects to the Postgres server itself, not through a pooler. Its errors are short: the server's
// message, the error of the operating system, or a time-out. pgx's own errors repeat the address and every
// attempt.
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
