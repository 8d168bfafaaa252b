package replay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/toolbox/client"
)

// gate stands before the admin API of a service, and keeps whoever asks waiting from a moment on.
type gate struct {
	*httptest.Server
	reached chan struct{} // closed when somebody waits
	release func()        // drops those who wait
}

func hold(t *testing.T, admin string, m moment) *gate {
	u, err := url.Parse(admin)
	if err != nil {
		t.Error(err)
	}
	transport := &http.Transport{}
	proxy := httputil.NewSingleHostReverseProxy(u)
	proxy.Transport = transport
	released := make(chan struct{})
	g := &gate{reached: make(chan struct{}), release: sync.OnceFunc(func() { close(released) })}
	reach := sync.OnceFunc(func() { close(g.reached) })
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held := r.Method+" "+r.URL.Path == m.call
		answer := httptest.NewRecorder()
		if !held || m.reaches {
			proxy.ServeHTTP(answer, r)
			held = held && strings.Contains(answer.Body.String(), m.state)
		}
		if held {
			if m.line == "" {
				reach()
			}
			<-released
			return
		}
		for name := range answer.Header() {
			w.Header().Set(name, answer.Header().Get(name))
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(func() {
		g.release()
		g.Close()
		transport.CloseIdleConnections()
	})
	return g
}

// check and eventually fail the test from any goroutine, and let it go on.
func (w *world) check(holds bool, otherwise string, args ...any) {
	w.t.Helper()
	if !holds {
		w.t.Errorf(otherwise, args...)
	}
}

func (w *world) eventually(holds func() bool, what string, args ...any) bool {
	w.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(3 * time.Minute); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			w.t.Errorf("in vain it was waited until "+what, args...)
			return false
		}
	}
	return true
}

func (w *world) state(service string) client.Consumers {
	consumers, err := w.Client().Consumers(w.t.Context(), service)
	w.check(err == nil, "%v", err)
	return consumers
}

// committed is how far the service's groups are, by group and partition.
func (w *world) committed(service string) map[string]map[int32]int64 {
	c, err := kgo.NewClient(kgo.SeedBrokers(w.Brokers()...))
	if err != nil {
		w.t.Error(err)
		return nil
	}
	defer c.Close()
	far := map[string]map[int32]int64{}
	for _, g := range w.state(service).Groups {
		offsets, err := kadm.NewClient(c).FetchOffsets(w.t.Context(), g.Group)
		w.check(errors.Join(err, offsets.Error()) == nil, "%v %v", err, offsets.Error())
		far[g.Group] = map[int32]int64{}
		for partition, o := range offsets[g.KafkaTopic] {
			far[g.Group][partition] = o.At
		}
	}
	return far
}

var handledLine = regexp.MustCompile(`(?m)^pasdetrois_messages_handled_total\{[^}]*\} (\S+)$`)

// handledBy is how many messages the service has handled since it was started.
func (w *world) handledBy(service string) (sum float64) {
	answer, err := http.Get(w.Client().Endpoint(service).Admin + "/metrics")
	if err != nil {
		w.t.Error(err)
		return 0
	}
	defer func() { _ = answer.Body.Close() }()
	metrics, err := io.ReadAll(answer.Body)
	w.check(err == nil, "%v", err)
	for _, counter := range handledLine.FindAllSubmatch(metrics, -1) {
		n, err := strconv.ParseFloat(string(counter[1]), 64)
		w.check(err == nil, "%v", err)
		sum += n
	}
	return sum
}

// nothingOnItsWay waits until all that was decided is published and each email has its outcome.
func (w *world) nothingOnItsWay() {
	w.t.Helper()
	testkit.Eventually(w.t, func() error {
		var open int
		err := w.db.QueryRow(w.t.Context(), `SELECT (SELECT count(*) FROM orders.outbox) + (SELECT count(*) FROM orders.held_messages)
			+ (SELECT count(*) FROM notifications.notifications WHERE status = 'pending')`).Scan(&open)
		if err == nil && open > 0 {
			err = fmt.Errorf("%d messages are on their way", open)
		}
		return err
	})
}

// settledRows are all rows of all services, once nothing is on its way. It reads the tables: a view lacks columns.
func (w *world) settledRows() []string {
	w.t.Helper()
	w.nothingOnItsWay()
	rows, err := w.db.Query(context.WithoutCancel(w.t.Context()), `SELECT 'order ' || o::text FROM orders.orders o UNION ALL SELECT 'line ' || l::text FROM orders.order_lines l
		UNION ALL SELECT 'event ' || e::text FROM orders.order_events e UNION ALL SELECT 'stock ' || i::text FROM orders.inventory i
		UNION ALL SELECT 'letter ' || d::text FROM orders.dead_letters d UNION ALL SELECT 'payment ' || p::text FROM payments.payments p
		UNION ALL SELECT 'charge ' || l::text FROM payments.provider_ledger l UNION ALL SELECT 'letter ' || d::text FROM payments.dead_letters d
		UNION ALL SELECT 'mail ' || n::text FROM notifications.notifications n UNION ALL SELECT 'letter ' || d::text FROM notifications.dead_letters d`)
	require.NoError(w.t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(w.t, err)
	return all
}
