package notifications_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/fault"
	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/pkg/platform/rebuild/rebuildtest"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/notifications"
	"pasdetrois/services/notifications/internal/app"
	"pasdetrois/services/notifications/internal/domain"
	"pasdetrois/services/notifications/internal/store"
)

var errDead = errors.New("the process is dead")

const partitions = 3

// history is what outlives every process and database: the topic, the group's offsets, and what the mail server took.
type history struct {
	t      *testing.T
	db     *pgxpool.Pool
	random *rand.Rand

	mu        sync.Mutex
	log       [partitions][]rebuild.Record
	committed map[rebuild.Place]int64
	mailed    map[string]int // by Message-ID
	refused   map[string]bool
	allowed   map[string]int // second emails of crashes between the mail server's answer and the event
}

func newHistory(t *testing.T, seed uint64) *history {
	return &history{t: t, db: testkit.Database(t, migrations.Up).Pool(t, "notifications"), random: rand.New(rand.NewPCG(seed, 15)),
		committed: map[rebuild.Place]int64{}, mailed: map[string]int{}, refused: map[string]bool{}, allowed: map[string]int{}}
}

// publish appends messages to the topic.
func (h *history) publish(source string, msgs ...messages.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range msgs {
		m.Source = source
		sum := fnv.New32()
		_, _ = sum.Write([]byte(m.Event.Key()))
		p := int32(sum.Sum32() % partitions)
		h.log[p] = append(h.log[p], rebuild.Record{Message: m, Topic: messages.TopicNotifications, Partition: p, Offset: int64(len(h.log[p]))})
	}
}

// ask publishes requests, with a key and a kind, or without either.
func (h *history) ask(name string, count int) {
	for i := range count {
		e := messages.NotificationRequested{UserID: "u1", Message: "Hello", Channel: messages.ChannelEmail, To: "ann@example.com"}
		id := fmt.Sprintf("%s-%d", name, i)
		if i%4 > 0 {
			e.OrderID, e.Kind = "o-"+id, messages.KindConfirmed
			id = messages.ID(e.OrderID, messages.EventNotificationRequested, e.Kind)
		}
		h.publish(messages.ServiceOrders, messages.Message{ID: id, Time: time.Now().UTC().Truncate(time.Microsecond), Event: e})
	}
}

// stories returns what the driver of a rebuild hands over.
func (h *history) stories(state rebuild.State) []rebuild.Story {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []rebuild.Record
	for _, records := range h.log {
		all = append(all, records...)
	}
	return rebuildtest.Stories(state, all)
}

func (h *history) facts() rebuild.Facts {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := rebuild.Facts{Committed: map[rebuild.Place]int64{}, First: map[rebuild.Place]map[string]int64{}}
	for p, records := range h.log {
		place := rebuild.Place{Topic: messages.TopicNotifications, Partition: int32(p)}
		if at, ok := h.committed[place]; ok {
			f.Committed[place] = at
		}
		f.First[place] = map[string]int64{}
		for _, r := range slices.Backward(records) {
			f.First[place][r.Event.EventName()] = r.Offset
		}
	}
	return f
}

// rebuild folds the topic into the database, moves the group back as the driver does, and returns the findings.
func (h *history) rebuild(write bool) []rebuild.Finding {
	h.t.Helper()
	state := notifications.NewState(h.db)
	state.(rebuild.Informed).Inform(h.facts())
	stories := h.stories(state)
	byKey := map[string]rebuild.Story{}
	for _, s := range stories {
		byKey[s.Key] = s
	}
	var found []rebuild.Finding
	for batch := range slices.Chunk(stories, 7) {
		f, err := state.Fold(h.t.Context(), batch, write)
		require.NoError(h.t, err)
		found = append(found, f...)
	}
	f, err := state.Finish(h.t.Context(), write)
	require.NoError(h.t, err)
	found = append(found, f...)
	for _, line := range found {
		if line.Kind != rebuild.Undecided || !write {
			continue
		}
		for _, r := range byKey[line.Key].Records {
			place := rebuild.Place{Topic: r.Topic, Partition: r.Partition}
			if _, asked := r.Event.(messages.NotificationRequested); asked && r.Offset < h.committed[place] {
				h.committed[place] = r.Offset
			}
		}
	}
	return found
}

// count returns how many findings are of a kind.
func count(found []rebuild.Finding, kind rebuild.Kind) (n int) {
	for _, f := range found {
		if f.Kind == kind {
			n++
		}
	}
	return n
}

func (h *history) exec(sql string) {
	h.t.Helper()
	testkit.Admin(h.t, h.db, sql)
}

func (h *history) backup() {
	h.exec(`DROP TABLE IF EXISTS backup; CREATE TABLE backup AS SELECT * FROM notifications`)
}

func (h *history) restore() {
	h.exec(`TRUNCATE notifications, mailboxes; INSERT INTO notifications OVERRIDING SYSTEM VALUE SELECT * FROM backup`)
}

// lose leaves the sequence of the ids where it is: rows that are restored later have ids of before.
func (h *history) lose() { h.exec(`TRUNCATE notifications, mailboxes`) }

// rows returns the table by story.
func (h *history) rows() map[string]domain.Notification {
	h.t.Helper()
	found, err := store.New(h.db).List(h.t.Context(), app.Query{Limit: 100_000})
	require.NoError(h.t, err)
	rows := map[string]domain.Notification{}
	for _, n := range found {
		rows[n.StoryKey()] = n
	}
	require.Len(h.t, rows, len(found))
	return rows
}

// process is one life of the service. dies says where its life may end, and how probable that is for each email.
type process struct {
	app.Store
	h    *history
	dies dies

	mu        sync.Mutex
	dead      bool
	delivered map[string]bool // Message-IDs that the mail server took from this process
	recorded  map[string]bool // and that are on the topic
}

type dies struct{ afterAnswer, afterEvent, afterRow float64 }

// die ends the process with a probability. The caller holds mu.
func (p *process) die(probability float64) {
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	p.dead = p.dead || p.h.random.Float64() < probability
}

func (p *process) Send(_ context.Context, e domain.Email, _ func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errDead
	}
	p.h.mu.Lock()
	luck := p.h.random.Float64()
	if p.h.refused[e.MessageID] || luck < 0.1 {
		p.h.refused[e.MessageID] = true
		p.h.mu.Unlock()
		return fault.New("smtp_refused", "550 no such user")
	}
	if luck < 0.3 {
		p.h.mu.Unlock()
		return errors.New("451 later")
	}
	p.h.mailed[e.MessageID]++
	p.h.mu.Unlock()
	p.delivered[e.MessageID] = true
	p.die(p.dies.afterAnswer)
	return nil
}

func (p *process) Publish(_ context.Context, msgs ...messages.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errDead
	}
	p.h.publish(messages.ServiceNotifications, msgs...)
	for _, m := range msgs {
		p.recorded[domain.Named(m).Email().MessageID] = true
	}
	p.die(p.dies.afterEvent)
	return nil
}

func (p *process) Settle(ctx context.Context, outcomes []app.Outcome) error {
	if p.isDead() {
		return errDead
	}
	err := p.Store.Settle(ctx, outcomes)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.die(p.dies.afterRow)
	return err
}

func (p *process) Claim(ctx context.Context, limit int, lease time.Duration) ([]domain.Notification, error) {
	if p.isDead() {
		return nil, errDead
	}
	return p.Store.Claim(ctx, limit, lease)
}

func (p *process) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// live runs the service over what it has not read, until every row is settled, or the process died, which it returns.
func (h *history) live(d dies) (died bool) {
	h.t.Helper()
	p := &process{Store: store.New(h.db), h: h, dies: d, delivered: map[string]bool{}, recorded: map[string]bool{}}
	log, metrics := slog.New(slog.DiscardHandler), app.NewMetrics(prometheus.NewRegistry())
	recorder := app.NewRecorder(app.RecorderConfig{Store: p, Publisher: p, Log: log})
	emails := app.NewDispatcher(app.DispatcherConfig{Store: p, Sender: p, Recorder: recorder, Metrics: metrics, Log: log,
		Poll: 5 * time.Millisecond, DrainTimeout: 50 * time.Millisecond, SendTimeout: time.Second, Lease: 2 * time.Second,
		Retries: domain.Retries{Backoff: domain.Backoff{First: time.Millisecond, Max: 5 * time.Millisecond}, For: time.Hour}})
	service := app.New(app.Config{Store: p, Dispatcher: emails, Metrics: metrics, Log: log})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- emails.Run(ctx) }()

	var batch []bus.In[messages.NotificationRequested]
	h.mu.Lock()
	for n, records := range h.log {
		place := rebuild.Place{Topic: messages.TopicNotifications, Partition: int32(n)}
		for _, r := range records[min(h.committed[place], int64(len(records))):] {
			if e, ok := r.Event.(messages.NotificationRequested); ok {
				batch = append(batch, bus.In[messages.NotificationRequested]{ID: r.ID, Time: r.Time, Event: e})
			}
		}
		h.committed[place] = int64(len(records))
	}
	h.mu.Unlock()
	for _, result := range service.OnNotificationRequested(h.t.Context(), batch) {
		require.NoError(h.t, result.Err)
	}
	testkit.Eventually(h.t, func() error {
		if p.isDead() {
			return nil
		}
		for _, n := range h.rows() {
			if n.Status == domain.Pending {
				return errors.New("pending: " + n.StoryKey())
			}
		}
		return nil
	})
	died = p.isDead()
	stop()
	require.NoError(h.t, <-done)
	settled := map[string]bool{}
	for _, n := range h.rows() {
		settled[n.Email().MessageID] = n.Status == domain.Sent
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.delivered {
		if !p.recorded[id] && !settled[id] { // a row that is sent has its event
			h.allowed[id]++
		}
	}
	return died
}

// requireSound asserts that each request has its row, that none that was not refused is lost, and that none came twice but those that
// a crash between answer and event allows.
func (h *history) requireSound() {
	h.t.Helper()
	rows := h.rows()
	for _, records := range h.log {
		for _, r := range records {
			e, ok := r.Event.(messages.NotificationRequested)
			if !ok {
				continue
			}
			n := domain.New(r.ID, r.Time, e)
			row, mail := rows[n.StoryKey()], n.Email().MessageID
			require.Equal(h.t, n.To, row.To)
			require.Equal(h.t, n.Message, row.Message)
			if h.refused[mail] && h.mailed[mail] == 0 {
				require.Equal(h.t, domain.Failed, row.Status)
				require.True(h.t, strings.HasPrefix(row.Reason, "smtp_refused"), row.Reason)
				continue
			}
			require.GreaterOrEqual(h.t, h.mailed[mail], 1, "%s is lost: %s, %s", n.StoryKey(), row.Status, row.Reason)
			require.LessOrEqual(h.t, h.mailed[mail], 1+h.allowed[mail], "%s came twice", n.StoryKey())
		}
	}
}
