package audit_test

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/migrations"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/audit"
	"pasdetrois/toolbox/client"
	"pasdetrois/toolbox/feed"
)

// before listens in the place of a server, and calls do before it lets the first connection through.
func before(t *testing.T, server string, do func()) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var once sync.Once
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			once.Do(do)
			to, err := net.Dial("tcp", server)
			if err != nil {
				_ = from.Close()
				continue
			}
			for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
				all.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = pair[0].Close()
				})
			}
		}
	})
	return l.Addr().String()
}

// An order is cancelled while an audit begins: after its first connection to Kafka, or to Postgres. Neither moment of the audit
// may be held against the other.
func TestAnOrderThatMovesWhileAnAuditBeginsIsNotAccused(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"Kafka", "Postgres"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			db := testkit.Database(t, migrations.Up)
			prefix := testkit.Prefix(t)
			s, err := stack.Start(t.Context(), stack.Config{DatabaseURL: db.AdminURL, Brokers: testkit.Brokers(t), TopicPrefix: prefix, GroupPrefix: prefix})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Stop()) })
			order, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "5.00"}, client.PlaceOptions{Wait: 30 * time.Second})
			require.NoError(t, err)
			require.Equal(t, "confirmed", order.Status)
			cancel := func() {
				_, err := s.Client().Cancel(t.Context(), order.OrderID)
				if err == nil {
					testkit.Eventually(t, func() error {
						// The row of an email is settled a moment after the email.
						told, err := s.Client().Notifications(t.Context(), order.OrderID)
						if err == nil && (len(told) < 2 || slices.ContainsFunc(told, func(n client.Notification) bool { return n.Status != "sent" })) {
							err = fmt.Errorf("its notifications are %v", told)
						}
						return err
					})
				}
			}
			database, err := url.Parse(pgdb.As(db.AdminURL, migrations.Auditor))
			require.NoError(t, err)
			at, where := at, s.Kafka()
			if at == "Kafka" {
				where.Brokers = []string{before(t, strings.Split(where.Brokers[0], ",")[0], cancel)}
			} else {
				database.Host = before(t, database.Host, cancel)
			}
			report, err := audit.Run(t.Context(), audit.Config{OrdersURL: database.String(), PaymentsURL: database.String(), NotificationsURL: database.String(),
				Topics: &feed.Config{Kafka: where, OpenTime: time.Minute}})
			require.NoError(t, err)
			for _, c := range report.Checks {
				require.Zero(t, c.Wrong, "%s: %v", c.Name, c.Examples)
			}
			now, err := s.Client().Order(t.Context(), order.OrderID, 0)
			require.NoError(t, err)
			require.Equal(t, "cancelled", now.Status)
		})
	}
}
