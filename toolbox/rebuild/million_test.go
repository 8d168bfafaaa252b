package rebuild_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/testkit"
)

// rowsSQL counts what the rebuild of each service makes.
var rowsSQL = map[string]string{
	messages.ServiceOrders:        `SELECT count(*) FROM orders.orders`,
	messages.ServicePayments:      `SELECT count(*) FROM payments.payments`,
	messages.ServiceNotifications: `SELECT count(*) FROM notifications.notifications`,
}

// BenchmarkRebuild measures `pas rebuild` over empty databases as a process of its own: how long it takes and the most memory
// that it has at a time. PAS_REBUILD_ORDERS says how many orders the topics have, PAS_REBUILD_SERVICES which services. The topics
// of a real Kafka can be used again: PAS_REBUILD_PREFIX names those of an earlier run.
func BenchmarkRebuild(b *testing.B) {
	orders := 20_000
	if given := os.Getenv("PAS_REBUILD_ORDERS"); given != "" {
		var err error
		orders, err = strconv.Atoi(given)
		require.NoError(b, err)
	}
	services := messages.Services()
	if given := os.Getenv("PAS_REBUILD_SERVICES"); given != "" {
		services = strings.Split(given, ",")
	}
	binary := filepath.Join(b.TempDir(), "pas")
	built, err := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-o", binary, "pasdetrois/cmd/pas").CombinedOutput()
	require.NoError(b, err, string(built))
	cfg := kafka.Config{Brokers: testkit.Brokers(b), TopicPrefix: os.Getenv("PAS_REBUILD_PREFIX")}
	if cfg.TopicPrefix == "" {
		cfg.TopicPrefix = testkit.Prefix(b)
		began := time.Now()
		generate(b, cfg, orders)
		b.Logf("the topics %s have %d orders after %s", cfg.TopicPrefix, orders, time.Since(began))
	}
	for _, service := range services {
		b.Run(service, func(b *testing.B) {
			most := int64(0)
			for b.Loop() {
				b.StopTimer()
				db := testkit.Database(b, migrations.Up)
				pas := exec.CommandContext(b.Context(), binary, "rebuild", "--service", service)
				pas.Env = append(os.Environ(), strings.ToUpper(service)+"_DATABASE_URL="+pgdb.As(db.AdminURL, service),
					"KAFKA_BROKERS="+strings.Join(cfg.Brokers, ","), "KAFKA_TOPIC_PREFIX="+cfg.TopicPrefix, "KAFKA_GROUP_PREFIX="+cfg.TopicPrefix)
				b.StartTimer()
				out, err := pas.CombinedOutput()
				b.StopTimer()
				b.Log(string(out))
				require.NoError(b, err, string(out))
				require.GreaterOrEqual(b, count(b, db.AdminURL, rowsSQL[service]), orders*9/10)
				most = max(most, pas.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
				b.ReportMetric(pas.ProcessState.UserTime().Seconds()+pas.ProcessState.SystemTime().Seconds(), "cpu-s")
				b.StartTimer()
			}
			b.ReportMetric(float64(most)/1024, "MiB") // Linux counts in KiB
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s")
		})
	}
}

func count(b *testing.B, adminURL, sql string) (n int) {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), adminURL)
	require.NoError(b, err)
	defer func() { require.NoError(b, conn.Close(context.Background())) }()
	require.NoError(b, conn.QueryRow(b.Context(), sql).Scan(&n))
	return n
}

// generate writes all messages of so many orders. Each is a second apart from the one before.
func generate(b *testing.B, cfg kafka.Config, orders int) {
	b.Helper()
	topics := stack.Topics(1)
	for i := range topics {
		topics[i].Retention = 100 * 24 * time.Hour // the oldest of a million orders is twelve days old
	}
	_, err := kafka.CreateTopics(b.Context(), cfg, topics)
	require.NoError(b, err)
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.ProducerLinger(20*time.Millisecond), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerBatchMaxBytes(100_000)) // the topics take no larger batch than 128 KiB
	require.NoError(b, err)
	defer client.Close()
	var lost atomic.Pointer[error]
	begin := time.Now().Add(-time.Duration(orders) * time.Second).Truncate(time.Millisecond)
	stock := messages.InventoryChanged{SKU: "record-brush", Name: "Record brush", Price: messages.Money{Minor: 1290, Currency: "USD"}, Stocked: int64(orders) + 1000, Version: 2}
	for n := range orders {
		all := told(n)
		if n == 0 {
			all = append(all, messages.Message{ID: messages.ID(stock.SKU, stock.EventName(), "2"), Source: "orders", Event: stock})
		}
		for i, m := range all {
			m.Time = begin.Add(time.Duration(n)*time.Second + time.Duration(i)*10*time.Millisecond)
			m.OrderTime = begin.Add(time.Duration(n) * time.Second)
			r, err := m.Record()
			require.NoError(b, err)
			record := &kgo.Record{Topic: cfg.TopicPrefix + r.Topic, Key: r.Key, Value: r.Value, Timestamp: r.Time}
			for _, h := range r.Headers {
				record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
			}
			client.Produce(b.Context(), record, func(_ *kgo.Record, err error) {
				if err != nil {
					lost.Store(&err)
				}
			})
		}
	}
	require.NoError(b, client.Flush(b.Context()))
	if err := lost.Load(); err != nil {
		require.NoError(b, *err)
	}
}

// told are the messages about order n: of a hundred, 3 are rejected, 5 declined, 3 cancelled after they were paid, the others
// confirmed.
func told(n int) (all []messages.Message) {
	id, who, pay := fmt.Sprintf("01a1fd79-0000-7000-8000-%012x", n), fmt.Sprintf("user-%d", n%5000), fmt.Sprintf("pay_%026x", n)
	cost := messages.Money{Minor: 1290, Currency: "USD"}
	items := []messages.Item{{SKU: "record-brush", Quantity: 1, UnitPrice: &cost}}
	say := func(source, step string, events ...messages.Event) {
		for _, e := range events {
			all = append(all, messages.Message{ID: messages.ID(id, e.EventName(), step), Source: source, Event: e})
		}
	}
	mail := func(kind string) {
		e := messages.NotificationRequested{UserID: who, OrderID: id, Kind: kind, Channel: "email", Message: "Order " + id + " " + kind + "!"}
		say("orders", kind, e)
		asked := all[len(all)-1].ID
		say("notifications", kind, messages.NotificationSent{MessageID: asked, OrderID: id, Kind: kind, UserID: who, Channel: "email"})
	}
	say("orders", "http", messages.OrderPlaced{OrderID: id, UserID: who, Total: cost, HasTotal: true, Items: items})
	if n%100 < 3 {
		say("orders", "reject", messages.OrderRejected{OrderID: id, UserID: who, Total: cost, Items: items, Reason: "out_of_stock"})
		mail(messages.KindRejected)
		return all
	}
	say("orders", "reserve", messages.PaymentRequested{OrderID: id, UserID: who, Amount: cost, PaymentMethod: "pm_card_visa", Items: items, Step: "order_placed"})
	if n%100 < 8 {
		say("payments", "charge", messages.PaymentFailed{OrderID: id, UserID: who, Total: cost, Reason: "card_declined"})
		mail(messages.KindFailed)
		return all
	}
	say("payments", "charge", messages.PaymentCaptured{OrderID: id, UserID: who, Amount: cost, PaymentID: pay})
	say("orders", "payment_captured", messages.OrderConfirmed{OrderID: id, UserID: who, Total: cost, Items: items, PaymentID: pay, Step: "payment_captured"})
	mail(messages.KindConfirmed)
	if n%100 < 11 {
		say("orders", "http", messages.RefundRequested{OrderID: id, UserID: who, Amount: cost, Reason: "cancelled_by_user", Step: "http"})
		say("payments", "refund", messages.PaymentRefunded{OrderID: id, UserID: who, Amount: cost, PaymentID: pay})
		say("orders", "payment_refunded", messages.OrderCancelled{OrderID: id, UserID: who, Total: cost, Items: items, PaymentID: pay,
			Reason: "cancelled_by_user", Step: "payment_refunded"})
		mail(messages.KindCancelled)
	}
	return all
}
