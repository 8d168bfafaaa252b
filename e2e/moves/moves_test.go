//go:build moves

package moves

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const sizeSQL = `SELECT count(*) FROM notifications.audit_notifications`

// The steps of "Moving to another server", with logical replication: the old server works until the services change over.
func TestLogicalReplicationMovesToTheNextVersion(t *testing.T) {
	s := newSystem(t)
	from := installed(t, "POSTGRES_OLD").start(t, folder(t), "wal_level=logical")
	to := installed(t, "POSTGRES_NEW").start(t, folder(t))
	s.run(from)
	shut := s.shop.open(t)
	s.sells(30)

	roles, schema := filepath.Join(to.mine("dump"), "roles.sql"), filepath.Join(to.dir, "dump", "schema.sql")
	to.run("pg_dumpall", "--roles-only", "--dbname="+from.url(), "--file="+roles)
	to.run("pg_dump", "--schema-only", "--dbname="+from.url(), "--file="+schema)
	to.run("psql", "--quiet", "--dbname="+to.url(), "--file="+roles) // "role postgres already exists" is no error
	// The superuser's password came with the roles.
	to.as(from.password(), fmt.Sprintf(`ALTER ROLE postgres PASSWORD '%s'`, to.password()))
	to.run("psql", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname="+to.url(), "--file="+schema)
	from.sql(`CREATE PUBLICATION move FOR TABLES IN SCHEMA orders, payments, notifications`)
	to.sql(fmt.Sprintf(`CREATE SUBSCRIPTION move CONNECTION '%s' PUBLICATION move`, from.url()))
	s.eventually(func() error {
		if left := to.sql(`SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'`); left != "0" {
			return fmt.Errorf("%s tables are being copied", left)
		}
		return nil
	})
	s.sells(30) // are replicated as they come

	end := s.measured("logical replication")
	s.stop()
	last := from.sql(`SELECT pg_current_wal_lsn()`)
	s.eventually(func() error {
		if from.sql(`SELECT confirmed_flush_lsn >= '`+last+`' FROM pg_replication_slots WHERE slot_name = 'move'`) != "t" {
			return fmt.Errorf("the new server has not all changes yet")
		}
		return nil
	})
	to.sql(`DROP SUBSCRIPTION move`)
	require.Equal(t, from.sql(sizeSQL), to.sql(sizeSQL))
	out, err := s.command(to, "migrate")
	require.NoError(t, err, out)
	require.Contains(t, out, "The sequence of notifications.notifications was behind its rows, and is moved from 0 to ")
	require.Contains(t, out, "The sequence of orders.goose_db_version was behind its rows")
	s.run(to)
	s.sells(10)
	end()
	shut()
	s.whole(to)
}

// The steps of "Moving to another server", with pg_upgrade.
func TestPgUpgradeMovesToTheNextVersion(t *testing.T) {
	s := newSystem(t)
	before, after := installed(t, "POSTGRES_OLD"), installed(t, "POSTGRES_NEW")
	old := before.start(t, folder(t))
	s.run(old)
	shut := s.shop.open(t)
	s.sells(60)

	end := s.measured("pg_upgrade")
	s.stop()
	had := old.sql(sizeSQL)
	require.NoError(t, old.Stop())
	dir := old.mine("new")
	t.Setenv("PGPASSWORD", old.password())
	after.run(t, dir, "initdb", "-D", dir+"/pg", "-U", "postgres", "-A", "scram-sha-256", "--pwfile="+old.dir+"/password", "-E", "UTF8", "--locale=C", "--no-data-checksums", "--no-sync")
	after.run(t, dir, "pg_upgrade", "-b", string(before), "-B", string(after), "-d", old.dir+"/pg", "-D", dir+"/pg", "-U", "postgres", "-s", dir)
	upgraded := after.start(t, dir)
	require.Equal(t, had, upgraded.sql(sizeSQL))
	out, err := s.command(upgraded, "migrate")
	require.NoError(t, err, out)
	require.NotContains(t, out, "sequence", "pg_upgrade keeps the sequences")
	s.run(upgraded)
	s.sells(10)
	end()
	shut()
	s.whole(upgraded)
}
