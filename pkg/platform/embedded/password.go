package embedded

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Every login needs a password (SCRAM), also that of another user of this machine: a superuser of Postgres may run programs as the
// server's user. The superuser's password is random and kept beside the data, in a file that only the server's user can read.

// passwordFile is the name of the file in the data folder.
const passwordFile = "password"

// Password returns the password that a role of the server should have. It is derived from the superuser's, so it is the same
// at each start.
func (p *Postgres) Password(role string) string {
	mac := hmac.New(sha256.New, []byte(p.password))
	mac.Write([]byte(role))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// newPassword returns 128 random bits: no two servers have one password, and no number of tries finds it.
func newPassword() string {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	return hex.EncodeToString(random)
}

// writePassword makes the file. O_EXCL follows no link.
func (p *Postgres) writePassword(base string) error {
	path := filepath.Join(base, passwordFile)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make the file of the password: %w", err)
	}
	if _, err = file.WriteString(p.password + "\n"); err == nil && p.who != nil {
		err = file.Chown(int(p.who.Uid), int(p.who.Gid))
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write the file of the password: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// readPassword returns the password in the folder, "" when there is none.
func readPassword(base string) (string, error) {
	path := filepath.Join(base, passwordFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the file of the password: %w", err)
	}
	password := strings.TrimSpace(string(content))
	if len(password) < 32 || strings.Trim(password, "0123456789abcdef") != "" {
		return "", fmt.Errorf("the file %s has no password of this server", path)
	}
	return password, nil
}

// rulesFile says who may log in and how: pg_hba.conf.
const rulesFile = "pg_hba.conf"

// demandPassword makes a cluster demand the password when it is of an earlier version, which trusts every connection, or
// when its password is lost. The server must not run: another one on the folder is an error. An interrupted call is completed by
// the next one, since the file comes last.
func (p *Postgres) demandPassword(ctx context.Context, base, data string) error {
	path := filepath.Join(data, rulesFile)
	rules, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read the server's rules: %w", err)
	}
	strict, trusts := withoutTrust(string(rules))
	if p.password != "" && !trusts {
		return nil
	}
	password := cmp.Or(p.password, newPassword())
	single := command(ctx, filepath.Join(p.bin, "postgres"), base, p.who, "--single", "-D", data, "postgres")
	single.Stdin = strings.NewReader(fmt.Sprintf("ALTER ROLE postgres PASSWORD '%s'\n", password))
	out, err := single.CombinedOutput()
	said := strings.ReplaceAll(string(out), password, "…")
	if err != nil || strings.Contains(said, "ERROR:") {
		return fmt.Errorf("set the server's password: %w: %s", cmp.Or(err, errors.New("refused")), said)
	}
	// Renamed into place: the rules are whole at any time.
	fresh := path + ".new"
	if err := os.WriteFile(fresh, []byte(strict), 0o600); err != nil {
		return fmt.Errorf("write the server's rules: %w", err)
	}
	if p.who != nil {
		if err := os.Chown(fresh, int(p.who.Uid), int(p.who.Gid)); err != nil {
			return fmt.Errorf("give the rules to the server's user: %w", err)
		}
	}
	if err := os.Rename(fresh, path); err != nil {
		return fmt.Errorf("write the server's rules: %w", err)
	}
	if p.password != "" {
		return nil
	}
	p.password = password
	return p.writePassword(base)
}

// withoutTrust returns rules in which a password is demanded wherever none was, and whether there was such a rule.
func withoutTrust(rules string) (strict string, changed bool) {
	lines := strings.Split(rules, "\n")
	for i, line := range lines {
		rule, comment, _ := strings.Cut(line, "#")
		if fields := strings.Fields(rule); len(fields) >= 4 && fields[len(fields)-1] == "trust" {
			lines[i] = strings.TrimRight(strings.Replace(rule, "trust", "scram-sha-256", 1), " ")
			if comment != "" {
				lines[i] += " #" + comment
			}
			changed = true
		}
	}
	return strings.Join(lines, "\n"), changed
}
