package cli

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"

	"pasdetrois/migrations"
)

// logins are the database roles of one installation, with the passwords that the URLs contain.
//
//	role                  default name  variable                        rights
//	of a service          its name      ORDERS_DATABASE_URL and so on   its own schema
//	of the audit          auditor       AUDIT_DATABASE_URL and so on    read the books of all services
//	change data capture   none          CDC_DATABASE_URL                replicate, read order_events
//
// A service and this command read the same URL, so that one set of secrets serves both.
type logins struct {
	roles     map[string]migrations.Roles // by service
	passwords map[string]string           // by role
	settings  map[string]string           // the variable that gave the password, by role
	capture   string                      // role of change data capture; "" without CDC_DATABASE_URL
}

// longestRole is the longest name that Postgres keeps whole, in bytes. It would cut a longer one silently, and
// the service could then not connect.
const longestRole = 63

// logins reads the roles from the URLs that the services and the auditor will use. Without a URL, a role has
// its default name. It rejects two parts with one role: each service may write its own schema only, and the
// auditor nothing. So a shared role would undo the separation.
func (a *app) logins(services []string) (*logins, error) {
	l := &logins{roles: map[string]migrations.Roles{}, passwords: map[string]string{}, settings: map[string]string{}}
	owners := map[string]string{}
	for _, service := range services {
		roles := migrations.RolesOf(service)
		setting := strings.ToUpper(service) + "_DATABASE_URL"
		own, err := a.secret(setting, "")
		if err != nil {
			return nil, err
		}
		if err := l.read(&roles.Runtime, setting, own); err != nil {
			return nil, err
		}
		if len(roles.Runtime) > migrations.LongestRuntime {
			return nil, usagef("%s: the name of a service's role has at most %d bytes, because %s owns its schema", setting, migrations.LongestRuntime, roles.Owner())
		}
		if other := owners[roles.Runtime]; other != "" {
			return nil, usagef("%s and %s would have one role, %s: each service needs a role of its own", other, service, roles.Runtime)
		}
		owners[roles.Runtime] = service
		if setting, own, err = a.auditSetting(service, ""); err != nil {
			return nil, err
		}
		if err := l.read(&roles.Auditor, setting, own); err != nil {
			return nil, err
		}
		l.roles[service] = roles
	}
	// One service's auditor may also be another service's role, so the roles are compared after all of them
	// are known.
	for _, roles := range l.roles {
		for _, other := range l.roles {
			if other.Runtime == roles.Owner() || other.Auditor == roles.Owner() {
				return nil, usagef("the role %s would log in and own the schema of %s: give it another name", roles.Owner(), roles.Runtime)
			}
		}
		if service := owners[roles.Auditor]; service != "" {
			return nil, usagef("the role %s would be that of %s and audit: give the one that audits a name of its own", roles.Auditor, service)
		}
	}
	// Change data capture reads a table of orders, so its role belongs to that database.
	if slices.Contains(services, "orders") {
		return l, a.readCapture(l)
	}
	return l, nil
}

// captureSetting is the variable with the URL that change data capture will use.
const captureSetting = "CDC_DATABASE_URL"

// readCapture takes the role of change data capture from its URL. A role that may replicate can read every
// table of the server. So it must have a password, and no other part may share it.
func (a *app) readCapture(l *logins) error {
	own, err := a.secret(captureSetting, "")
	if err != nil || own == "" {
		return err
	}
	role := migrations.Capture
	if err := l.read(&role, captureSetting, own); err != nil {
		return err
	}
	for _, roles := range l.roles {
		if role == roles.Runtime || role == roles.Auditor || role == roles.Owner() {
			return usagef("%s names the role %s, which another part has: it needs one of its own, because it may replicate", captureSetting, role)
		}
	}
	if l.passwords[role] == "" {
		return usagef("%s has no password: the role %s may replicate, so it needs one", captureSetting, role)
	}
	l.capture = role
	return nil
}

// read takes the role and its password from the URL of a setting. Without a URL the role keeps its default. One
// role with two different passwords is an error: the second would silently replace the first.
func (l *logins) read(role *string, setting, target string) error {
	if target == "" {
		return nil
	}
	u, err := url.Parse(target)
	if err != nil || u.User == nil || u.User.Username() == "" {
		return usagef("%s is not a URL with a user, such as postgres://%s:secret@localhost:5432/pasdetrois", setting, *role)
	}
	if *role = u.User.Username(); len(*role) > longestRole {
		return usagef("%s: a role's name has at most %d bytes", setting, longestRole)
	}
	password, _ := u.User.Password()
	before, known := l.passwords[*role]
	switch {
	// A URL without a password leaves the password of the role as it is.
	case password == "":
		return nil
	case known && before != password:
		return usagef("%s and %s have different passwords for the role %s: where each service has a database of its own, migrate one after the other with --service",
			l.settings[*role], setting, *role)
	case !known:
		l.passwords[*role], l.settings[*role] = password, setting
	}
	return nil
}

// names returns all roles of the services, sorted, each once.
func (l *logins) names(services []string) []string {
	names := map[string]bool{}
	for _, service := range services {
		names[l.roles[service].Runtime], names[l.roles[service].Auditor] = true, true
	}
	return slices.Sorted(maps.Keys(names))
}

// check asks the server whether the roles may be used like this, before the first change. Without replace, a
// role whose password would change and that other databases use is an error (migrations.SharedError): it would
// lock out another installation.
func (l *logins) check(ctx context.Context, target string, services []string, replace bool) error {
	for _, service := range services {
		if err := migrations.CheckOwner(ctx, target, service, l.roles[service]); err != nil {
			return err
		}
	}
	for _, role := range slices.Sorted(maps.Keys(l.passwords)) {
		err := migrations.CheckPassword(ctx, target, role, l.passwords[role])
		var shared *migrations.SharedError
		if err != nil && (!replace || !errors.As(err, &shared)) {
			return err
		}
	}
	return nil
}

// view returns the roles of each service as JSON shows them.
func (l *logins) view() map[string]map[string]string {
	all := map[string]map[string]string{}
	for service, roles := range l.roles {
		all[service] = map[string]string{"Owner": roles.Owner(), "Runtime": roles.Runtime, "Auditor": roles.Auditor}
	}
	return all
}
