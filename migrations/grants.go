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
)

// The SQL files grant to the auditor by its usual name. An installation whose auditor has another name runs them with that
// name: named puts it in while goose reads.

// grantPattern matches a grant to the auditor, or its revocation. Each is a line of its own.
var grantPattern = regexp.MustCompile(`(?m)^((?:GRANT|REVOKE) .+ (?:TO|FROM) )` + Auditor + `;$`)

// named is a folder of migrations with the auditor's name put in.
type named struct {
	fs.FS          // as written
	auditor string // quoted
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
		return []byte(strings.TrimSuffix(string(line), Auditor+";") + n.auditor + ";")
	})
}

type namedFile struct {
	fs.File
	text *bytes.Reader
}

// Read implements fs.File.
func (f *namedFile) Read(p []byte) (int, error) { return f.text.Read(p) }

// ungrantedSQL returns true when the auditor lacks the schema, or a table that another role was granted.
const ungrantedSQL = `
SELECT NOT has_schema_privilege($1, $2, 'USAGE') OR EXISTS (
  SELECT FROM pg_class c WHERE c.relnamespace = $2::regnamespace AND NOT has_table_privilege($1, c.oid, 'SELECT')
    AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner AND a.privilege_type = 'SELECT'))`

// grantAgain repeats the migrations' grants for an auditor of another name: migrations run only once, so a later auditor would
// get no rights. The rights of an earlier auditor stay. db acts as the schema's owner.
func grantAgain(ctx context.Context, db *sql.DB, dir named, service, auditor string) error {
	var lacks bool
	if err := db.QueryRowContext(ctx, ungrantedSQL, auditor, service).Scan(&lacks); err != nil || !lacks {
		return err
	}
	grants, err := dir.grants()
	if err != nil {
		return err
	}
	for range alterTries {
		if _, err = db.ExecContext(ctx, grants); !changedMeanwhile(err) {
			break
		}
	}
	return err
}

// grants returns the grants to the auditor of all migrations' Up parts.
func (n named) grants() (string, error) {
	files, err := fs.Glob(n.FS, "*.sql")
	if err != nil {
		return "", fmt.Errorf("list migrations: %w", err)
	}
	slices.Sort(files)
	var grants strings.Builder
	for _, name := range files {
		text, err := fs.ReadFile(n.FS, name)
		if err != nil {
			return "", fmt.Errorf("read migration %s: %w", name, err)
		}
		up, _, _ := bytes.Cut(text, []byte("-- +goose Down"))
		for _, grant := range grantPattern.FindAll(up, -1) {
			grants.Write(n.put(grant))
			grants.WriteByte('\n')
		}
	}
	return grants.String(), nil
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }
