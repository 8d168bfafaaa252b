package orders_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
)

// refusal is one way in which a database refuses for a while: what is done to it, and what takes that back.
type refusal struct {
	begin, end string
	unready    string // what readiness says; "" = the service stays ready
}

// A client that keeps to HTTP repeats after 503 with Retry-After, and not after 500.
func TestADatabaseThatRefusesForAWhileIsNoFaultOfTheRequest(t *testing.T) {
	t.Parallel()
	const cut = `; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'orders'`
	postgres := testkit.OwnPostgres(t)
	require.NoError(t, migrations.Up(t.Context(), postgres.AdminURL))
	admin, err := pgx.Connect(t.Context(), postgres.AdminURL)
	require.NoError(t, err)
	defer admin.Close(t.Context())
	w := setupOn(t, testkit.Brokers(t), postgres.DB)
	w.cfg.DatabaseURL += "&lock_timeout=200ms"
	s := w.start()
	for name, r := range map[string]refusal{
		"read-only":            {`ALTER SYSTEM SET default_transaction_read_only = on`, `ALTER SYSTEM RESET default_transaction_read_only`, "takes no writes"},
		"another-password":     {`ALTER ROLE orders PASSWORD 'another'` + cut, `ALTER ROLE orders PASSWORD 'orders'`, "password authentication failed"},
		"too-many-connections": {`ALTER ROLE orders CONNECTION LIMIT 0` + cut, `ALTER ROLE orders CONNECTION LIMIT -1`, "too many connections"},
		"no-login":             {`ALTER ROLE orders NOLOGIN` + cut, `ALTER ROLE orders LOGIN`, "not permitted to log in"},
		"locked":               {`BEGIN; LOCK TABLE orders.orders`, `COMMIT`, ""},
		"a-grant-is-lost":      {`REVOKE INSERT ON orders.orders FROM orders`, `GRANT INSERT ON orders.orders TO orders`, ""},
		"not-migrated":         {`ALTER TABLE orders.outbox RENAME TO later`, `ALTER TABLE orders.later RENAME TO outbox`, ""},
	} {
		s.Ready(http.StatusOK)
		require.Equal(t, http.StatusAccepted, s.takes("before-"+name))
		do := func(sql string) {
			t.Helper()
			for _, part := range append(strings.Split(sql, "; "), `SELECT pg_reload_conf()`) {
				_, err := admin.Exec(t.Context(), part)
				require.NoError(t, err, part)
			}
		}
		do(r.begin)
		refused := 0
		testkit.Eventually(t, func() error {
			switch status, header := s.post("during-" + name); {
			case status == http.StatusServiceUnavailable && header.Get("Retry-After") != "":
				refused++
			case status >= 300 || refused > 0: // a setting takes a moment to be read
				require.Fail(t, "not 503 with Retry-After", "%s: %d %v", name, status, header)
			}
			if refused < 5 {
				return fmt.Errorf("%s: %d requests were refused", name, refused)
			}
			return nil
		})
		if r.unready != "" {
			s.Ready(http.StatusServiceUnavailable, r.unready)
			s.takesRequests(http.StatusServiceUnavailable)
		}
		do(r.end)
		testkit.Eventually(t, func() error {
			if status, _ := s.post("after-" + name); status >= 300 {
				return fmt.Errorf("%s: status %d", name, status)
			}
			return nil
		})
		w.Await("after-"+name, messages.EventPaymentRequested, "reserve")
	}
	s.Ready(http.StatusOK)
	require.Zero(t, w.Rows("dead_letters"), "nothing was parked")
	require.NotContains(t, w.Logs.String(), "a request failed")
}

func TestADefaultOfSerializableDoesNotHarm(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"serializable", "repeatable read"} {
		w := setup(t)
		_, err := w.DB.Exec(t.Context(), `ALTER ROLE CURRENT_USER IN DATABASE "`+w.database()+`" SET default_transaction_isolation = '`+level+`'`)
		require.NoError(t, err)
		s := w.start()
		s.Ready(http.StatusOK)
		answers := make(chan int, 96)
		for client := range 12 {
			go func() {
				for n := range 8 {
					answers <- s.retried(fmt.Sprintf("%d-%d", client, n), "too busy")
				}
			}()
		}
		for range cap(answers) {
			select {
			case status := <-answers:
				require.Equal(t, http.StatusAccepted, status)
			case <-time.After(2 * time.Minute):
				require.FailNow(t, "no answer")
			}
		}
		testkit.Eventually(t, func() error {
			if n := w.Rows("orders WHERE status = 'awaiting_payment'"); n != cap(answers) {
				return fmt.Errorf("%d orders wait for their payment", n)
			}
			return nil
		})
	}
}

// A migration under a running service changes the results of statements that its connections have prepared.
func TestATypeThatAMigrationChangesFailsNoRequest(t *testing.T) {
	t.Parallel()
	w := setup(t)
	s := w.start()
	s.Ready(http.StatusOK)
	for _, kind := range []string{"integer", "bigint", "integer", "bigint"} {
		for n := range 20 {
			id := fmt.Sprint(kind, n)
			require.Less(t, s.retried(id, "too busy"), 300) // a busy machine may refuse an order, and begins nothing then
			status, body := s.Get(s.Public + "/orders/" + id)
			require.Equal(t, http.StatusOK, status, body)
			status, body = s.Get(s.Public + "/orders")
			require.Equal(t, http.StatusOK, status, body)
		}
		testkit.Admin(t, w.DB, `ALTER TABLE orders ALTER COLUMN nudges TYPE `+kind)
	}
	s.Ready(http.StatusOK)
}

func (w *world) database() (name string) {
	w.T.Helper()
	require.NoError(w.T, w.DB.QueryRow(w.T.Context(), `SELECT current_database()`).Scan(&name))
	return name
}

// A transaction that somebody left open holds up all orders behind it, and nothing of the service is at fault.
func TestReadinessNamesTheTransactionThatHoldsOrdersUp(t *testing.T) {
	t.Parallel()
	db := testkit.Database(t, migrations.Up)
	w := setupOn(t, testkit.Brokers(t), db)
	s := w.start()
	s.Ready(http.StatusOK, `"postgres":"ok"`)
	require.Equal(t, http.StatusAccepted, s.takes("o"))
	w.Await("o", messages.EventPaymentRequested, "reserve")
	holder, err := pgx.Connect(t.Context(), db.AdminURL+"&application_name=somebody")
	require.NoError(t, err)
	defer holder.Close(t.Context())
	_, err = holder.Exec(t.Context(), `BEGIN; UPDATE orders.orders SET user_id = user_id`)
	require.NoError(t, err)
	w.Publish(messages.PaymentCaptured{OrderID: "o", UserID: "u", Amount: usd(49_99), PaymentID: "p"})
	who := fmt.Sprintf("pid %d, somebody", holder.PgConn().PID())
	s.Ready(http.StatusOK, who)
	testkit.Eventually(t, func() error {
		if !strings.Contains(w.Logs.String(), who) {
			return errors.New("the log does not say who holds orders up")
		}
		return nil
	})
	_, body := s.Get(s.Admin + "/metrics")
	require.Regexp(t, `pasdetrois_postgres_lock_wait_seconds [1-9]`, body)
	_, err = holder.Exec(t.Context(), `COMMIT`)
	require.NoError(t, err)
	w.Await("o", messages.EventNotificationRequested, "confirmed")
	s.Ready(http.StatusOK, `"postgres":"ok"`)
}
