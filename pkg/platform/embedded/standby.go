package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CopyTo makes dir the data folder of a standby of the server: StartPostgres on dir starts a standby that follows. dir must
// exist. The server keeps running meanwhile.
func (p *Postgres) CopyTo(ctx context.Context, dir string) error {
	if p.who != nil {
		if err := os.Chown(dir, int(p.who.Uid), int(p.who.Gid)); err != nil {
			return fmt.Errorf("give the standby's folder to the server's user: %w", err)
		}
	}
	// A folder that a server had before has a password, too.
	if err := os.Remove(filepath.Join(dir, passwordFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace the password of the standby's folder: %w", err)
	}
	if err := p.writePassword(dir); err != nil {
		return err
	}
	backup := command(ctx, filepath.Join(p.bin, "pg_basebackup"), dir, p.who, "--pgdata="+filepath.Join(dir, "pg"),
		"--dbname="+p.url("", "postgres"), "--write-recovery-conf", "--checkpoint=fast", "--no-sync")
	backup.Env = append(backup.Env, "PGPASSWORD="+p.password) // every user of the machine may see the arguments
	if out, err := backup.CombinedOutput(); err != nil {
		return fmt.Errorf("copy the server: %w: %s", err, out)
	}
	return nil
}

// Follow turns a data folder into that of a standby of the server. The server on that folder must be stopped, and must once have
// been the same cluster: a former primary follows its successor. Settings are appended, and the last one of a name counts.
func (p *Postgres) Follow(dir string) error {
	data := filepath.Join(dir, "pg")
	settings, err := os.OpenFile(filepath.Join(data, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("settings of the standby: %w", err)
	}
	_, err = fmt.Fprintf(settings, "primary_conninfo = '%s'\n", p.AdminURL("postgres"))
	if closeErr := settings.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o644)
	}
	if err != nil {
		return fmt.Errorf("make a standby: %w", err)
	}
	return nil
}
