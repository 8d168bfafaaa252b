//go:build moves

package moves

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/e2e/programs"
	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

const ordersSQL = `SELECT count(*) FROM orders.audit_orders`

// rebuilt runs the steps after a restore: what was decided since is taken from the topics, before a service runs.
func (s *system) rebuilt(on *server, told map[string]string) {
	s.Helper()
	s.Logf("restored: %s of %d orders", on.sql(ordersSQL), len(told))
	out, err := s.command(on, "rebuild", "--service", "all")
	require.NoError(s, err, out)
	s.run(on)
	after := s.outcomes(on)
	for id, outcome := range told {
		require.Equal(s, outcome, after[id], "%s was told otherwise", id)
	}
	s.Logf("rebuilt: all %d orders as customers were told", len(told))
}

// The steps of "Backup and restore": a dump is older than what customers were told.
func TestADumpIsRestored(t *testing.T) {
	s := newSystem(t)
	from := installed(t, "POSTGRES_OLD").start(t, folder(t))
	to := installed(t, "POSTGRES_NEW").start(t, folder(t))
	s.run(from)
	shut := s.shop.open(t)
	s.sells(30)
	dump := filepath.Join(to.mine("dump"), "orders.dump")
	to.run("pg_dump", "--format=custom", "--no-unlogged-table-data", "--dbname="+from.url(), "--file="+dump)
	s.sells(30)
	shut()
	told := s.outcomes(from)

	end := s.measured("pg_restore and pas rebuild")
	s.stop()
	require.NoError(t, from.Stop()) // the server is lost
	shut = s.shop.open(t)
	out, err := s.command(to, "migrate")
	require.NoError(t, err, out)
	to.run("pg_restore", "--clean", "--if-exists", "--single-transaction", "--dbname="+to.url(), dump)
	out, err = s.command(to, "migrate")
	require.NoError(t, err, out)
	s.rebuilt(to, told)
	s.sells(10)
	end()
	shut()
	s.whole(to)
}

// The steps of "Point in time".
func TestABaseBackupIsRestoredToAPointInTime(t *testing.T) {
	s := newSystem(t)
	old := installed(t, "POSTGRES_OLD")
	archive, base := folder(t), folder(t)
	require.NoError(t, os.Chmod(archive, 0o777))
	require.NoError(t, os.Chmod(base, 0o777))
	from := old.start(t, folder(t), "archive_mode=on", "archive_command=cp %p "+archive+"/%f")
	s.run(from)
	shut := s.shop.open(t)
	s.sells(30)
	from.run("pg_basebackup", "--pgdata="+base+"/pg", "--dbname="+from.url(), "--checkpoint=fast", "--no-sync")
	from.sharePassword(base)
	s.sells(30)
	at := from.sql(`SELECT clock_timestamp()`)
	s.sells(30)
	shut()
	told := s.outcomes(from)

	end := s.measured("a base backup with its log, and pas rebuild")
	s.stop()
	last := from.sql(`SELECT pg_walfile_name(pg_switch_wal())`)
	s.eventually(func() error {
		if _, err := os.Stat(filepath.Join(archive, last)); err != nil {
			return fmt.Errorf("the last log is not archived: %w", err)
		}
		return nil
	})
	require.NoError(t, from.Stop())
	shut = s.shop.open(t)
	settings, err := os.OpenFile(base+"/pg/postgresql.auto.conf", os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = fmt.Fprintf(settings, "restore_command = 'cp %s/%%f %%p'\nrecovery_target_time = '%s'\nrecovery_target_action = 'promote'\n", archive, at)
	require.NoError(t, err)
	require.NoError(t, settings.Close())
	require.NoError(t, os.WriteFile(base+"/pg/recovery.signal", nil, 0o644))
	back := old.start(t, base)
	s.eventually(func() error {
		if back.sql(`SELECT pg_is_in_recovery()`) != "f" {
			return fmt.Errorf("the server recovers")
		}
		return nil
	})
	s.rebuilt(back, told)
	s.sells(10)
	end()
	shut()
	s.whole(back)
}

// A dump that has messages in its outbox is restored while the services run. Their transactions are of another server.
func TestMessagesThatARestoreBringsUnderRunningServicesArePublished(t *testing.T) {
	s := newSystem(t)
	from := installed(t, "POSTGRES_OLD").start(t, folder(t))
	to := installed(t, "POSTGRES_NEW").start(t, folder(t))
	broker, why := programs.GivenBroker()
	if broker == nil {
		require.FailNow(t, "the broker is to stand still for a moment", why)
	}
	s.environ = map[string]string{"PENDING_REPUBLISH_AFTER": "1h"} // nothing else publishes them
	s.run(from)
	require.NoError(t, broker.Pause(t.Context()))
	resume := func() { require.NoError(t, broker.Resume(t.Context())) }
	for n := range 3 {
		_, _, err := s.running.Client().Place(t.Context(), client.NewOrder{OrderID: fmt.Sprint(s.name, n), UserID: "ada", Total: "5.00"}, client.PlaceOptions{})
		if err != nil {
			resume()
		}
		require.NoError(t, err)
	}
	dump := filepath.Join(to.mine("dump"), "orders.dump")
	to.run("pg_dump", "--format=custom", "--no-unlogged-table-data", "--dbname="+from.url(), "--file="+dump)
	s.stop()
	require.NoError(t, from.Stop())
	resume()

	s.run(to)
	to.run("pg_restore", "--clean", "--if-exists", "--single-transaction", "--dbname="+to.url(), dump)
	s.eventually(func() error {
		found, err := read(t.Context(), to.url())
		if left := to.sql(`SELECT count(*) FROM orders.audit_outbox`); left != "0" || len(found) != 3 {
			return fmt.Errorf("%s messages are left: %v %w", left, found, err)
		}
		return err
	})
	for id, outcome := range s.outcomes(to) {
		require.Contains(t, outcome, "confirmed", id)
	}
}

// The steps of "Losing Kafka": the topics and the positions of the groups are gone, the databases are whole.
func TestKafkaIsLost(t *testing.T) {
	s := newSystem(t)
	on := installed(t, "POSTGRES_OLD").start(t, folder(t))
	s.run(on)
	require.NoError(t, s.running.StopService(t.Context(), "notifications")) // requests for emails are not read
	shut := s.shop.open(t)
	s.sells(30)
	end := s.measured("Kafka lost")
	s.stop()

	cl, err := kgo.NewClient(kgo.SeedBrokers(s.brokers))
	require.NoError(t, err)
	defer cl.Close()
	admin := kadm.NewClient(cl)
	var names, groups []string
	for _, topic := range messages.Topics() {
		names = append(names, s.name+topic.Name)
	}
	for _, group := range messages.Groups() {
		groups = append(groups, s.name+group.String())
	}
	deleted, err := admin.DeleteTopics(t.Context(), names...)
	require.NoError(t, err)
	require.NoError(t, deleted.Error())
	gone, err := admin.DeleteGroups(t.Context(), groups...)
	require.NoError(t, err)
	for _, g := range gone {
		if !errors.Is(g.Err, kerr.GroupIDNotFound) { // a group that never committed is gone already
			require.NoError(t, g.Err, g.Group)
		}
	}

	out, err := s.command(on, "topics", "create")
	require.NoError(t, err, out)
	s.run(on)
	s.sells(10)
	end()
	shut()
	out, err = s.command(on, "audit", "--grace", "0s")
	require.Error(t, err)
	require.Contains(t, out, "no email was requested")
	out, err = s.command(on, "order", "republish", "--placed-from", "1h ago")
	require.NoError(t, err, out)
	s.outcomes(on) // of those too whose payment_requested was lost
	s.eventually(func() error {
		out, err := s.command(on, "audit", "--grace", "0s")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	s.eventually(func() error {
		if left := on.sql(`SELECT count(*) FROM notifications.audit_notifications WHERE status = 'pending'`); left != "0" {
			return fmt.Errorf("%s emails are not sent", left)
		}
		return nil
	})
	mails := s.mails.all()
	require.Equal(t, on.sql(sizeSQL), fmt.Sprint(len(mails)), "each notification is an email")
	for id, n := range mails {
		require.Equal(t, 1, n, "%s was sent again", id)
	}
	require.Equal(t, "0", on.sql(`SELECT count(*) FROM payments.audit_provider_ledger WHERE charge_calls > 1`), "no order was charged a second time")
}
