package migrations

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// The SQL files grant to the roles auditor and runtime. Each installation runs them with the names of its own roles: named puts
// them in while goose reads.
//
// A table that a migration makes belongs to the owner, and the runtime role may read and write its rows at once. A migration
// that gives less, or more, says so: REVOKE UPDATE, DELETE ON audit_log FROM runtime; on a line of its own, of one table.

// grantPattern matches a grant to one of the two roles, or its revocation. Each is a line of its own.
var grantPattern = regexp.MustCompile(`(?m)^((?:GRANT|REVOKE) .+ (?:TO|FROM) )(` + Auditor + `|` + Runtime + `);$`)

// named is a folder of migrations with the roles' names put in.
type named struct {
	fs.FS // as written
	roles Roles
}

// Open implements fs.FS.
func (n named) Open(name string) (fs.File, error) {
	f, err := n.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sql") {
		return f, err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &namedFile{f, bytes.NewReader(n.put(text))}, nil
}

func (n named) put(text []byte) []byte {
	return grantPattern.ReplaceAllFunc(text, func(line []byte) []byte {
		parts := grantPattern.FindSubmatch(line)
		role := n.roles.Auditor
		if string(parts[2]) == Runtime {
			role = n.roles.Runtime
		}
		return []byte(string(parts[1]) + quoted(role) + ";")
	})
}

type namedFile struct {
	fs.File
	text *bytes.Reader
}

// Read implements fs.File.
func (f *namedFile) Read(p []byte) (int, error) { return f.text.Read(p) }

// ungrantedSQL returns true when the auditor lacks the schema, or a table that a third role was granted.
const ungrantedSQL = `
SELECT NOT has_schema_privilege($1, $2, 'USAGE') OR EXISTS (
  SELECT FROM pg_class c WHERE c.relnamespace = $2::regnamespace AND NOT has_table_privilege($1, c.oid, 'SELECT')
    AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee NOT IN (c.relowner, (SELECT oid FROM pg_roles WHERE rolname = $3)) AND a.privilege_type = 'SELECT'))`

// grantAgain repeats the migrations' grants for an auditor of another name: migrations run only once, so a later auditor would
// get no rights. The rights of an earlier auditor stay. db acts as the schema's owner.
func grantAgain(ctx context.Context, db *sql.DB, dir named, service string) error {
	var lacks bool
	if err := db.QueryRowContext(ctx, ungrantedSQL, dir.roles.Auditor, service, dir.roles.Runtime).Scan(&lacks); err != nil || !lacks {
		return err
	}
	lines, err := dir.lines(Auditor)
	if err != nil {
		return err
	}
	for _, line := range lines {
		err := again(func() error {
			_, err := db.ExecContext(ctx, line)
			return err
		})
		if err != nil && !dropped(err) {
			return err
		}
	}
	return nil
}

// lines returns each grant to a role, and each revocation, of all migrations' Up parts, with the names of the roles put in.
func (n named) lines(role string) (lines []string, err error) {
	files, err := fs.Glob(n.FS, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	slices.Sort(files)
	for _, name := range files {
		text, err := fs.ReadFile(n.FS, name)
		if err != nil {
			return nil, fmt.Errorf("read migration %s: %w", name, err)
		}
		up, _, _ := bytes.Cut(text, []byte("-- +goose Down"))
		for _, line := range grantPattern.FindAllSubmatch(up, -1) {
			if string(line[2]) == role {
				lines = append(lines, string(n.put(line[0])))
			}
		}
	}
	return lines, nil
}

// objectPattern finds the table, sequence or function of a grant.
var objectPattern = regexp.MustCompile(` ON (?:(?:TABLE|SEQUENCE|FUNCTION|ROUTINE) )?(\w+)`)

// about returns the lines that are about one of the names.
func about(lines []string, names []string) string {
	var found strings.Builder
	for _, line := range lines {
		if object := objectPattern.FindStringSubmatch(line); object != nil && slices.Contains(names, object[1]) {
			found.WriteString(line + "\n")
		}
	}
	return found.String()
}

// dropped reports whether a later migration has dropped what a grant is about: undefined_table, undefined_function,
// undefined_object.
func dropped(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && slices.Contains([]string{"42P01", "42883", "42704"}, refused.Code)
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }
