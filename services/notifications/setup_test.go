package notifications_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// world is one test's corner of Kafka and Postgres, and the emails that came out.
type world struct {
	t        *testing.T
	cfg      notifications.Config
	db       *pgxpool.Pool
	log      *slog.Logger
	producer *bus.Producer
	emails   *lockedBuffer
}

func setup(t *testing.T) *world {
	t.Helper()
	return setupOn(t, testkit.Brokers(t), testkit.Database(t, migrations.Up))
}

// setupOn is setup on given parts.
func setupOn(t *testing.T, brokers []string, db *testkit.DB) *world {
	t.Helper()
	logs := &lockedBuffer{}
	w := &world{t: t, db: db.Pool(t, "notifications"), emails: &lockedBuffer{},
		log: slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(logs.String())
		}
	})
	w.cfg = configFrom(t, map[string]string{"DATABASE_URL": db.URL("notifications")})
	w.cfg.EmailLog = w.emails
	prefix := testkit.Prefix(t)
	w.cfg.Config = bus.Config{Brokers: brokers, TopicPrefix: prefix, GroupPrefix: prefix}
	_, err := bus.CreateTopics(t.Context(), w.cfg.Config, []bus.TopicSpec{{Name: messages.TopicNotifications, Partitions: 3, ReplicationFactor: 1}})
	require.NoError(t, err)
	w.producer, err = bus.NewProducer(w.cfg.Config, "test", w.log)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.producer.Close()) })
	return w
}

// service is a running notifications service.
type service struct {
	t             *testing.T
	public, admin string
	stop          func()
}

func (w *world) start(change ...func(c *notifications.Config)) *service {
	w.t.Helper()
	cfg := w.cfg
	for _, c := range change {
		c(&cfg)
	}
	require.NoError(w.t, cfg.Validate())
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(w.t, err)
		return l
	}
	cfg.HTTPListener, cfg.AdminListener = listen(), listen()
	s := &service{t: w.t, public: "http://" + cfg.HTTPListener.Addr().String(), admin: "http://" + cfg.AdminListener.Addr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- notifications.Run(ctx, cfg, w.log) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			assert.NoError(w.t, err)
		case <-time.After(30 * time.Second):
			assert.Fail(w.t, "it did not stop")
		}
	})
	w.t.Cleanup(s.stop)
	return s
}

func (s *service) get(url string) (int, string) {
	s.t.Helper()
	status, body, err := fetch(s.t, http.MethodGet, url)
	require.NoError(s.t, err)
	return status, body
}

func fetch(t *testing.T, method, url string) (int, string, error) {
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		return 0, "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// write puts a body on topic notifications as a foreign client would: no key, no headers.
func (w *world) write(body string) {
	w.t.Helper()
	require.NoError(w.t, w.producer.PublishRecords(w.t.Context(), messages.Record{Topic: messages.TopicNotifications, Value: []byte(body)}))
}

// publish sends what one of our own services sends about an order.
func (w *world) publish(order, kind string) {
	w.t.Helper()
	require.NoError(w.t, w.producer.Publish(w.t.Context(), messages.Message{
		ID: messages.ID(order, messages.EventNotificationRequested, kind), Time: time.Now(),
		Event: messages.NotificationRequested{OrderID: order, Kind: kind, UserID: "u1", Message: "Order " + order + " " + kind + "!",
			Channel: messages.ChannelEmail}}))
}

// email is one line of the log sender.
type email struct {
	Msg, Service, To, Subject, Kind, Message string
	OrderID                                  string `json:"order_id"`
	MessageID                                string `json:"message_id"`
}

// sent returns the emails that came out so far.
func (w *world) sent() []email {
	w.t.Helper()
	var all []email
	for text := range strings.Lines(w.emails.String()) {
		var e email
		require.NoError(w.t, json.Unmarshal([]byte(text), &e), text)
		all = append(all, e)
	}
	return all
}

// await waits until so many emails came out, and returns them.
func (w *world) await(count int) []email {
	w.t.Helper()
	testkit.Eventually(w.t, func() error {
		if n := len(w.sent()); n < count {
			return fmt.Errorf("%d of %d emails", n, count)
		}
		return nil
	})
	return w.sent()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
