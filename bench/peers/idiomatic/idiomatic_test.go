package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/IBM/sarama"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/kafka"
	"pasdetrois/pkg/platform/testkit"
)

func idiomatic(t *testing.T) *peer {
	t.Helper()
	return newPeer(t, []string{os.Args[0]}, asCommand+"=1")
}

func (p *peer) query(sql string) (answer string) {
	p.t.Helper()
	conn, err := pgx.Connect(p.t.Context(), p.db.AdminURL)
	require.NoError(p.t, err)
	defer conn.Close(p.t.Context())
	require.NoError(p.t, conn.QueryRow(p.t.Context(), sql).Scan(&answer))
	return answer
}

// awaitConsumed waits until no group has anything left to do. Positions are read before the topics' ends: when they are
// equal, nothing was in work at the time of the first.
func (p *peer) awaitConsumed() {
	p.t.Helper()
	c := sarama.NewConfig()
	c.Version = sarama.V2_8_0_0
	client, err := sarama.NewClient(p.brokers, c)
	require.NoError(p.t, err)
	admin, err := sarama.NewClusterAdminFromClient(client)
	require.NoError(p.t, err)
	defer admin.Close()
	reads := map[string][]string{"orders": {"orders", "payments", "order-failures"}, "payments": {"payments"}, "notifications": {"notifications"}}
	testkit.Eventually(p.t, func() error {
		positions := map[string]*sarama.OffsetFetchResponse{}
		for service, topics := range reads {
			for _, topic := range topics {
				group := p.prefix + service + "." + topic
				if positions[group], err = admin.ListConsumerGroupOffsets(group, nil); err != nil {
					return err
				}
			}
		}
		for group, position := range positions {
			topic := p.prefix + group[strings.LastIndex(group, ".")+1:]
			partitions, err := client.Partitions(topic)
			if err != nil {
				return err
			}
			for _, partition := range partitions {
				end, err := client.GetOffset(topic, partition, sarama.OffsetNewest)
				if err != nil {
					return err
				}
				block := position.GetBlock(topic, partition)
				if end > 0 && (block == nil || block.Offset != end) {
					return fmt.Errorf("%s has not come to the end of %s/%d: %v of %d", group, topic, partition, block, end)
				}
			}
		}
		return nil
	})
}

func TestThreeProcessesSettleFiftyOrders(t *testing.T) {
	t.Parallel()
	idiomatic(t).settles()
}

// Without a role one process is all three services. An order of more than there is is rejected, one of too much money
// fails, and both give their pieces back.
func TestOrdersThatDoNotWorkOutGiveTheirPiecesBack(t *testing.T) {
	t.Parallel()
	p := idiomatic(t)
	url, _ := p.start()
	p.query(`UPDATE orders.inventory SET available = 100, stocked = 100 WHERE sku = 'vinyl-swan-lake' RETURNING sku`)
	p.place(url, "vinyl-swan-lake", 101) // more than there is
	p.place(url, "vinyl-swan-lake", 50)  // 2499.50, over the limit
	p.place(url, "vinyl-swan-lake", 1)
	p.awaitEmails(url, 4) // rejected, failed and its alert, confirmed
	require.Equal(t, "confirmed,failed,rejected", p.query(`SELECT string_agg(status, ',' ORDER BY status) FROM orders.orders`))
	require.Equal(t, "99", p.query(`SELECT available::text FROM orders.inventory WHERE sku = 'vinyl-swan-lake'`))
	books := p.audit()
	require.Equal(t, 3, books.Orders)
	require.Equal(t, 1, books.Confirmed)
	require.Equal(t, 4, books.Emails)
	require.Equal(t, "49.99", books.CapturedTotal.String())
	require.True(t, books.StockOK)
}

// Every message twice has the effects of once; the order is a plain producer's.
func TestRepeatedMessagesHaveOneEffect(t *testing.T) {
	t.Parallel()
	p := idiomatic(t)
	url, _ := p.start()
	producer, err := bus.NewProducer(bus.ProducerConfig{Config: kafka.Config{Brokers: p.brokers, TopicPrefix: p.prefix}, Service: "test", Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer func() { require.NoError(t, producer.Close()) }()
	send := func(topic, body string) {
		t.Helper()
		require.NoError(t, producer.PublishRecords(t.Context(), messages.Record{Topic: topic, Key: []byte("42"), Value: []byte(body)}))
	}
	order := `{"order_id": "42", "user_id": "ada", "total": 49.99, "items": [{"sku": "vinyl-swan-lake", "quantity": 1}]}`
	send("orders", order)
	p.awaitEmails(url, 1)
	paymentID := p.query(`SELECT payment_id FROM payments.payments`)
	send("orders", order)
	send("payments", `{"order_id": "42", "amount": 49.99, "user_id": "ada"}`)
	send("payments", `{"event": "payment_captured", "order_id": "42", "amount": 49.99, "user_id": "ada", "payment_id": "`+paymentID+`"}`)
	send("notifications", `{"order_id": "42", "user_id": "ada", "message": "again", "channel": "email", "kind": "confirmed"}`)
	p.awaitConsumed()
	p.awaitEmails(url, 1)
	require.Equal(t, "1", p.query(`SELECT sold::text FROM orders.inventory WHERE sku = 'vinyl-swan-lake'`))
	require.Equal(t, "1", p.query(`SELECT count(*)::text FROM payments.provider_ledger`))
	books := p.audit()
	require.Equal(t, 1, books.Confirmed)
	require.Equal(t, 1, books.Emails)
	require.True(t, books.StockOK)
}

func TestGroupThatNobodyIsInIsNotHealthy(t *testing.T) {
	t.Parallel()
	h, err := newHealth(config{Brokers: testkit.Brokers(t)}, nil)
	require.NoError(t, err)
	defer h.admin.Close()
	require.ErrorContains(t, assigned(h.admin, []string{testkit.Prefix(t) + "nobody"}), "nobody")
}

func TestAWrongConfigurationReportsEveryMistake(t *testing.T) {
	t.Parallel()
	_, err := readConfig(map[string]string{}, "stage")
	for _, part := range []string{"stage", "DATABASE_ADMIN_URL", "KAFKA_BROKERS"} {
		require.ErrorContains(t, err, part)
	}
}
