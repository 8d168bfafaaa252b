//go:build cdc

package cdc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// One worker, one server and one topic serve all steps, because a worker needs ten seconds to start.
func TestChangeDataCapture(t *testing.T) {
	server := testkit.OwnPostgres(t, "wal_level=logical", "max_slot_wal_keep_size=48MB", "min_wal_size=32MB", "max_wal_size=64MB")
	allow(t, server.AdminURL)
	s := &steps{t: t, server: server, connect: newWorker(t, server.AdminURL), read: readTopic(t)}
	s.written = &timeline{t: t, pool: server.Pool(t, "orders")}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"rows that were there before come in order", s.snapshot},
		{"rows come while Connect is killed", s.killed},
		{"each column has its value", s.values},
		{"a migration adds columns and takes one away", s.migration},
		{"changes that are no step of an order do not come", s.housekeeping},
		{"a new snapshot fills the gap of a lost slot", s.lostSlot},
	} {
		began := time.Now()
		step.do()
		t.Logf("%-55s %5.1f s, %d records", step.name, time.Since(began).Seconds(), len(s.read.all()))
	}
}

type steps struct {
	t       *testing.T
	server  *testkit.Postgres
	connect *worker
	read    *topic
	written *timeline
}

// The rows lie in the file in the wrong order, as they may after a clean-up.
func (s *steps) snapshot() {
	for i := range 100 {
		s.written.add(fmt.Sprintf("before-%d", i), 3, 2, 1)
	}
	s.connect.start()
	s.read.await(s.written.rows)
	s.read.inOrder()
}

func (s *steps) killed() {
	for i := range 400 {
		s.written.add(fmt.Sprintf("live-%d", i%40), i/40+1)
		switch i {
		case 150:
			s.read.await(s.written.rows[:350]) // it is in the middle of its work
			s.connect.kill()
		case 250:
			s.connect.start()
		}
	}
	s.read.await(s.written.rows)
	s.read.inOrder()
}

const oddRowSQL = `INSERT INTO order_events VALUES ($1, 1, 'order_placed', '', 'pending', $2, $3)`

// The times have no fraction, six digits of one, another zone, and a year before 1970.
func (s *steps) values() {
	text := "ünïcödé 😀 \"quoted\" \\ back\nline\ttab \u0001 </script> " + strings.Repeat("x", 20_000)
	for i, at := range []string{"2026-03-14 09:26:53+00", "2026-03-14 09:26:53.589793+00", "2026-03-14 23:30:00.1+14", "1969-12-31 23:59:59.000001+00"} {
		order := fmt.Sprintf("odd/%d", i)
		_, err := s.written.pool.Exec(s.t.Context(), addOrderSQL, order)
		require.NoError(s.t, err)
		_, err = s.written.pool.Exec(s.t.Context(), oddRowSQL, order, text, at)
		require.NoError(s.t, err)
		s.written.rows = append(s.written.rows, order+"/1")
		s.read.await(s.written.rows)
		when, err := time.Parse("2006-01-02 15:04:05.999999-07", at)
		require.NoError(s.t, err)
		record := s.newest()
		require.Equal(s.t, map[string]any{"order_id": order, "number": json.Number("1"), "event": "order_placed", "status_from": "",
			"status_to": "pending", "detail": text, "at": when.UTC().Format("2006-01-02T15:04:05.000000Z")}, record)
	}
}

const (
	widenSQL    = `ALTER TABLE orders.order_events ADD COLUMN amount numeric(30,4), ADD COLUMN extra jsonb, ADD COLUMN due date, ADD COLUMN big bigint`
	wideRowSQL  = `INSERT INTO order_events VALUES ('wide', 1, 'order_placed', '', 'pending', '', now(), $1, $2, '2026-03-14', 9007199254740993)`
	narrowSQL   = `ALTER TABLE orders.order_events DROP COLUMN amount, DROP COLUMN extra, DROP COLUMN due, DROP COLUMN big`
	wideListed  = `{"list": [5, 24.99, 1.10, "a"], "total": 12345678901234567890.1234}`
	wideDecimal = "12345678901234567890.1200"
)

// Money is a text with all of its digits, JSON is a text with the document as Postgres has it, and a date is a number of days.
func (s *steps) migration() {
	run := func(sql string, args ...any) {
		s.t.Helper()
		_, err := s.written.pool.Exec(s.t.Context(), sql, args...)
		require.NoError(s.t, err)
	}
	s.alter(widenSQL)
	run(addOrderSQL, "wide")
	run(wideRowSQL, wideDecimal, wideListed)
	s.written.rows = append(s.written.rows, "wide/1")
	s.read.await(s.written.rows)
	record := s.newest()
	require.Equal(s.t, wideDecimal, record["amount"])
	require.Equal(s.t, json.Number("9007199254740993"), record["big"])
	require.Equal(s.t, json.Number("20526"), record["due"])
	var document string
	require.NoError(s.t, s.written.pool.QueryRow(s.t.Context(), `SELECT extra::text FROM order_events WHERE order_id = 'wide'`).Scan(&document))
	require.Equal(s.t, document, record["extra"])

	s.alter(narrowSQL)
	s.written.add("narrow", 1)
	s.read.await(s.written.rows)
	require.Len(s.t, s.newest(), 7)
}

// alter changes a table as the superuser does: the service's role may not.
func (s *steps) alter(sql string) {
	s.t.Helper()
	admin, err := pgx.Connect(s.t.Context(), s.server.AdminURL)
	require.NoError(s.t, err)
	defer admin.Close(s.t.Context())
	_, err = admin.Exec(s.t.Context(), sql)
	require.NoError(s.t, err)
}

func (s *steps) housekeeping() {
	before := len(s.read.all())
	for _, sql := range []string{`UPDATE order_events SET detail = 'changed' WHERE order_id = 'narrow'`,
		`DELETE FROM order_events WHERE order_id LIKE 'before-%'`} {
		_, err := s.written.pool.Exec(s.t.Context(), sql)
		require.NoError(s.t, err)
	}
	s.written.add("after", 1)
	s.read.await(s.written.rows)
	require.Len(s.t, s.read.all(), before+1, "the insert alone")
	for _, record := range s.read.all() {
		require.NotNil(s.t, record.Value, "no tombstone")
	}
}

const (
	lostSQL     = `SELECT wal_status = 'lost' FROM pg_replication_slots WHERE slot_name = 'pasdetrois_cdc'`
	logSQL      = `SELECT pg_logical_emit_message(false, '', repeat('x', 1000000)) FROM generate_series(1, 25)`
	dropSlotSQL = `SELECT pg_drop_replication_slot('pasdetrois_cdc')`
)

// What the runbook says is done here: stop Connect, drop the slot, start Connect.
func (s *steps) lostSlot() {
	admin := s.server.OneConn(s.t, "")
	run := func(sql string) {
		s.t.Helper()
		_, err := admin.Exec(s.t.Context(), sql)
		require.NoError(s.t, err)
	}
	s.connect.kill()
	for i := range 50 {
		s.written.add(fmt.Sprintf("gap-%d", i), 1, 2)
	}
	testkit.Eventually(s.t, func() error {
		run(logSQL)
		run(`CHECKPOINT`)
		var lost bool
		if err := admin.QueryRow(s.t.Context(), lostSQL).Scan(&lost); err != nil || !lost {
			return errors.Join(err, errors.New("the slot is not lost yet"))
		}
		return nil
	})
	run(dropSlotSQL)
	s.connect.start()
	s.read.await(s.written.rows)
	s.written.add("after-gap", 1)
	s.read.await(s.written.rows)
	s.read.inOrder()
}

// newest returns the members of the record that was read last, each number with all of its digits.
func (s *steps) newest() map[string]any {
	s.t.Helper()
	all := s.read.all()
	decoder := json.NewDecoder(strings.NewReader(string(all[len(all)-1].Value)))
	decoder.UseNumber()
	members := map[string]any{}
	require.NoError(s.t, decoder.Decode(&members))
	return members
}
