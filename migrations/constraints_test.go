package migrations_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/deadletter"
)

const constraintSQL = `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1 AND connamespace = $2::text::regnamespace`

var quoted = regexp.MustCompile(`'([^']*)'`)

// What each service's own rules say is tested beside its queries; here is what all of them have in common.
func TestDeadLettersAreTheSameInEveryService(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	admin := w.as("")
	// The table, wherever it is: what names its schema is left out.
	table := func(service string) []string {
		return w.lines(admin, `
			SELECT format('%s %s %s %s %s', attnum, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid))
			FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
			WHERE attrelid = ($1 || '.dead_letters')::regclass AND attnum > 0
			UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = ($1 || '.dead_letters')::regclass
			UNION ALL SELECT replace(indexdef, $1 || '.', '') FROM pg_indexes WHERE schemaname = $1 AND tablename = 'dead_letters'
			ORDER BY 1`, service)
	}
	want := table("orders")
	require.NotEmpty(t, want)
	for _, service := range messages.Services() {
		require.Equal(t, want, table(service), service)

		var states []string
		for _, m := range quoted.FindAllStringSubmatch(w.lines(admin, constraintSQL, "dead_letter_state", service)[0], -1) {
			states = append(states, m[1])
		}
		require.ElementsMatch(t, []string{deadletter.StateParked, deadletter.StateReplaying, deadletter.StateReplayed,
			deadletter.StateDiscarded}, states, "the states of the code")
	}
}

func TestRulesAreRefusedByTheirName(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	const letter = `INSERT INTO %s.dead_letters (topic, partition, record_offset, record_time, reason, detail, state)
		VALUES ('t', 0, 0, 'epoch', '', '', '%s')`
	for _, service := range messages.Services() {
		conn := w.as(service)
		require.Equal(t, "dead_letter_state", w.refused(conn, checkViolation, fmt.Sprintf(letter, service, "lost")).ConstraintName)
		_, err := conn.Exec(t.Context(), fmt.Sprintf(letter, service, "parked"))
		require.NoError(t, err)
		require.Equal(t, "dead_letter_parked_once", w.refused(conn, "23505", fmt.Sprintf(letter, service, "parked")).ConstraintName)
	}

	orders := w.as("orders")
	for statement, rule := range map[string]string{
		`UPDATE orders.inventory SET available = available - 1`:              "inventory_pieces_add_up",
		`UPDATE orders.inventory SET available = -1, sold = stocked + 1`:     "inventory_available_not_negative",
		`UPDATE orders.inventory SET available = stocked + 1, reserved = -1`: "inventory_reserved_not_negative",
		`UPDATE orders.inventory SET available = stocked + 1, sold = -1`:     "inventory_sold_not_negative",
	} {
		require.Equal(t, rule, w.refused(orders, checkViolation, statement).ConstraintName, statement)
	}
}

// A name that Postgres made up says which column is concerned, not which rule was broken.
func TestEveryRuleHasAName(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.up()
	for _, name := range w.lines(w.as(""), `SELECT conname::text FROM pg_constraint JOIN pg_namespace n ON n.oid = connamespace
		WHERE nspname IN ('orders', 'payments', 'notifications') AND contype = 'c'`) {
		require.False(t, strings.HasSuffix(name, "_check"), name)
	}
}
