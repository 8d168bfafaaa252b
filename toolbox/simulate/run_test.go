package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/wait"
	"pasdetrois/toolbox/client"
)

// shop is the three services as far as the simulation sees them: what it is told to do, in the bubble's time.
type shop struct {
	answerAfter time.Duration
	emailAfter  time.Duration
	refuse      func(n int, order client.NewOrder) error // nil = takes everything
	lose        func(n int) bool                         // of this order no email is ever sent

	mu     sync.Mutex
	orders map[string]client.NewOrder
	ids    []string
	sent   []client.Notification // oldest first
	pages  int
	asked  int
}

func newShop() *shop {
	return &shop{answerAfter: 5 * time.Millisecond, emailAfter: 40 * time.Millisecond, orders: map[string]client.NewOrder{}}
}

func (s *shop) Inventory(context.Context) ([]client.Stock, error) {
	return []client.Stock{{SKU: "brush", Price: "12.90", Currency: "USD"}, {SKU: "swan-lake", Price: "49.99", Currency: "USD"}}, nil
}

func (s *shop) send(id, kind string) {
	time.AfterFunc(s.emailAfter, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sent = append(s.sent, client.Notification{OrderID: id, Kind: kind, Status: "sent", SentAt: time.Now(), CreatedAt: time.Now()})
	})
}

func (s *shop) Place(ctx context.Context, order client.NewOrder, _ client.PlaceOptions) (client.Order, client.Answer, error) {
	if !wait.Sleep(ctx, s.answerAfter) {
		return client.Order{}, client.Answer{}, ctx.Err()
	}
	s.mu.Lock()
	n := len(s.ids)
	s.ids = append(s.ids, order.OrderID)
	_, known := s.orders[order.OrderID]
	s.mu.Unlock()
	if known {
		return client.Order{}, client.Answer{Status: 200}, nil
	}
	if s.refuse != nil {
		if err := s.refuse(n, order); err != nil {
			return client.Order{}, client.Answer{}, err
		}
	}
	s.take(order)
	if s.lose == nil || !s.lose(n) {
		kind := "confirmed"
		if order.PaymentMethod != "" {
			kind = "failed"
		}
		s.send(order.OrderID, kind)
	}
	return client.Order{}, client.Answer{Status: 202}, nil
}

func (s *shop) take(order client.NewOrder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders[order.OrderID] = order
}

func (s *shop) Cancel(_ context.Context, id string) (client.Order, error) {
	s.mu.Lock()
	failed := s.orders[id].PaymentMethod != ""
	s.mu.Unlock()
	if failed {
		return client.Order{}, &client.Problem{Status: 409}
	}
	s.send(id, "cancelled")
	return client.Order{}, nil
}

func (s *shop) Order(_ context.Context, id string, _ time.Duration) (client.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.orders[id]; !ok {
		return client.Order{}, &client.Problem{Status: 404}
	}
	return client.Order{OrderID: id}, nil
}

func (s *shop) Notifications(_ context.Context, id string) ([]client.Notification, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	found := []client.Notification{}
	for _, n := range s.sent {
		if n.OrderID == id {
			found = append([]client.Notification{n}, found...)
		}
	}
	return found, nil
}

func (s *shop) RecentNotifications(_ context.Context, cursor string) (client.NotificationPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages++
	end := len(s.sent)
	if cursor != "" {
		_, _ = fmt.Sscan(cursor, &end)
	}
	begin := max(end-500, 0)
	p := client.NotificationPage{Items: slices.Clone(s.sent[begin:end])}
	slices.Reverse(p.Items)
	if begin > 0 {
		p.NextCursor = fmt.Sprint(begin)
	}
	return p, nil
}

// notebook keeps the events.
type notebook struct {
	events []string
	fail   error
}

func (n *notebook) Write(user string, body []byte, _ time.Time) {
	n.events = append(n.events, user+" "+string(body))
}
func (n *notebook) Close() (int64, error) {
	if n.fail != nil {
		return 1, n.fail
	}
	return 0, nil
}

func config(s Shop) Config {
	traffic := usual()
	traffic.Duration = 20 * time.Second
	return Config{Traffic: traffic, Run: "r", Shop: s, Settle: 30 * time.Second, Progress: func(Progress) {}}
}

func TestEveryOrderIsPlacedAndItsOutcomeAndTimesAreKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, notes := newShop(), &notebook{}
		cfg := config(s)
		told := 0
		cfg.Progress = func(Progress) { told++ }
		cfg.Open = func(context.Context) (Writer, error) { return notes, nil }
		got, err := Run(t.Context(), cfg)
		require.NoError(t, err)
		require.InDelta(t, 400, got.Orders, 80)
		require.Equal(t, got.Orders, got.Taken)
		require.Equal(t, got.Orders, sum(got.Outcomes))
		require.Zero(t, got.Unsettled)
		require.Empty(t, got.Refused)
		require.Equal(t, got.Cancellations["taken"], got.Outcomes["cancelled"])
		require.NotZero(t, got.Outcomes["cancelled"])
		require.NotZero(t, got.Outcomes["failed"])
		require.NotZero(t, got.Cancellations["too late"])
		require.Equal(t, Latency{Count: got.Orders, P50: 5, P95: 5, P99: 5, Max: 5}, got.ToAnswer)
		require.Equal(t, got.Orders, got.ToEmail.Count)
		require.Equal(t, 45.0, got.ToEmail.Max)
		require.InEpsilon(t, 45, got.ToEmail.P50, 0.01)
		require.Len(t, notes.events, int(sum(got.Events)))
		require.Equal(t, got.Orders, got.Events[checkout])
		require.Regexp(t, `^shopper-\d+ \{"event":"page_view","user_id":"shopper-\d+","session_id":"r-s\d+","page":"/","timestamp":"2000-01-01T.*Z"\}$`, notes.events[0])
		require.GreaterOrEqual(t, told, 20)
		require.Zero(t, s.asked, "the list of all told everything")
	})
}

func TestASlowSystemIsNotWaitedForAndItsLatencyCountsFromWhenOrdersWereDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.answerAfter = 60 * time.Second
		cfg := config(s)
		cfg.Traffic.Rate, cfg.Settle = 100, 10*time.Minute
		got, err := Run(t.Context(), cfg)
		require.NoError(t, err)
		require.GreaterOrEqual(t, got.ToAnswer.P50, 60_000.0)
		require.Greater(t, got.Orders, int64(Connections))
		require.NotZero(t, got.HeldBack)
		require.Greater(t, got.ToAnswer.Max, 100_000.0, "waiting for a place counts")
		require.Zero(t, got.Unsettled)
	})
}

func TestRefusalsAreCountedAndOnlyWhatMayExistIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.refuse = func(n int, order client.NewOrder) error {
			switch n % 5 {
			case 1:
				return &client.Problem{Status: 422}
			case 2:
				return &client.UnreachableError{Err: syscall.ECONNREFUSED}
			case 3:
				return &client.Problem{Status: 503} // and it was not taken
			case 4:
				s.take(order) // but the answer is lost
				s.send(order.OrderID, "confirmed")
				return &client.UnreachableError{Err: errors.New("no answer in time")}
			}
			return nil
		}
		got, err := Run(t.Context(), config(s))
		require.NoError(t, err)
		require.Zero(t, got.Unsettled)
		require.Equal(t, got.Orders, got.Taken+sum(got.Refused))
		for _, why := range []string{"422", "unreachable", "503", "no answer"} {
			require.InDelta(t, got.Orders/5, got.Refused[why], 2, why)
		}
		require.Equal(t, got.Taken+got.Refused["no answer"], sum(got.Outcomes))
	})
}

func TestAnOrderWithoutAnEmailIsNamedAfterTheTimeToSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.lose = func(n int) bool { return n == 10 }
		cfg := config(s)
		cfg.Traffic.Cancelled = 0
		began := time.Now()
		got, err := Run(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, []string{s.ids[10]}, got.UnsettledExamples)
		require.Equal(t, int64(1), got.Unsettled)
		require.GreaterOrEqual(t, time.Since(began), 45*time.Second)
		require.LessOrEqual(t, time.Since(began), 51*time.Second)
		require.NotZero(t, s.asked)
		require.Less(t, s.pages, 150, "one order that is lost does not make every look long")
	})
}

func TestEmailsAreFoundAmongThoseOfManyOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		cfg := config(s)
		ticker := time.NewTicker(10 * time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { // 20,000 a second
			defer close(done)
			for {
				select {
				case <-ticker.C:
					s.mu.Lock()
					for range 200 {
						s.sent = append(s.sent, client.Notification{OrderID: fmt.Sprint(rand.Uint64()), Kind: "confirmed", Status: "sent", CreatedAt: time.Now()})
					}
					s.mu.Unlock()
				case <-ctx.Done():
					return
				}
			}
		}()
		cfg.Traffic.Rate, cfg.Traffic.Duration = 2, 5*time.Second
		got, err := Run(t.Context(), cfg)
		cancel()
		<-done
		require.NoError(t, err)
		require.Zero(t, got.Unsettled)
	})
}

func TestAnInterruptedRunEndsSoonWithWhatItKnows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		s.lose = func(int) bool { return true }
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		began := time.Now()
		got, err := Run(ctx, config(s))
		require.NoError(t, err)
		require.True(t, got.Interrupted)
		require.NotZero(t, got.Unsettled)
		require.Equal(t, 15.0, got.Seconds)
		require.LessOrEqual(t, time.Since(began), 15*time.Second+hurry+time.Second)
	})
}

func TestARunThatIsRepeatedIsToldFromANewOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop()
		cfg := config(s)
		first, err := Run(t.Context(), cfg)
		require.NoError(t, err)
		again, err := Run(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, first.Orders, again.Repeated)
		require.Equal(t, first.Outcomes, again.Outcomes)
		require.Zero(t, again.ToEmail.Count, "those emails are old")
		require.Len(t, s.orders, int(first.Orders))
		require.ElementsMatch(t, s.ids[:first.Orders], s.ids[first.Orders:])
	})
}

func TestLostEventsAreCountedAndDoNotStopOrders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := config(newShop())
		cfg.Open = func(context.Context) (Writer, error) { return &notebook{fail: errors.New("disk full")}, nil }
		got, err := Run(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, int64(1), got.EventsLost)
		require.Equal(t, "disk full", got.EventsProblem)
		require.Equal(t, got.Orders, got.Taken)
	})
}

func TestPercentilesAreExactToOnePercent(t *testing.T) {
	t.Parallel()
	var l latencies
	require.Zero(t, l.summary())
	for ms := range 1000 {
		l.add(time.Duration(ms+1) * time.Millisecond)
	}
	l.add(-time.Second) // a clock behind ours
	got := l.summary()
	require.InEpsilon(t, 500, got.P50, 0.011)
	require.InEpsilon(t, 950, got.P95, 0.011)
	require.InEpsilon(t, 990, got.P99, 0.011)
	require.Equal(t, 1000.0, got.Max)
	l.add(100 * time.Hour)
	require.Equal(t, 360_000_000.0, l.summary().Max)
}
