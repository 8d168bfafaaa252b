package simulated_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"pasdetrois/migrations"
	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/provider/simulated"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func setup(t *testing.T) *pgxpool.Pool {
	t.Helper()
	return testkit.Database(t, migrations.Up).Pool(t, "payments")
}

func charge(key string, method string) app.Charge {
	return app.Charge{Key: key, OrderID: "o1", UserID: "u1", Amount: messages.Money{Minor: 4999, Currency: "USD"}, Method: method}
}

func charges(t *testing.T, books *pgxpool.Pool) (n int) {
	t.Helper()
	require.NoError(t, books.QueryRow(t.Context(),
		`SELECT count(*) FROM provider_ledger WHERE order_id = 'o1' AND status = 'charged'`).Scan(&n))
	return n
}

func TestChargeOncePerKey(t *testing.T) {
	t.Parallel()
	books := setup(t)
	p := simulated.New(simulated.Config{Books: books})

	first, err := p.Charge(t.Context(), charge("k1", simulated.MethodVisa))
	require.NoError(t, err)
	require.Regexp(t, `^pay_[a-z2-7]{26}$`, first.PaymentID)
	again, err := p.Charge(t.Context(), charge("k1", simulated.MethodDeclined))
	require.NoError(t, err)
	require.Equal(t, first, again, "the first answer stands")
	require.Equal(t, 1, charges(t, books))

	// This is what the books are for: money taken twice for one order stands in them twice.
	second, err := p.Charge(t.Context(), charge("k2", simulated.MethodVisa))
	require.NoError(t, err)
	require.NotEqual(t, first.PaymentID, second.PaymentID)
	require.Equal(t, 2, charges(t, books))
}

func TestChargeOncePerKeyInARace(t *testing.T) {
	t.Parallel()
	books := setup(t)
	p := simulated.New(simulated.Config{Books: books})
	release := make(chan struct{})
	answers := make(chan domain.Answer, 8)
	var wg sync.WaitGroup
	for range cap(answers) {
		wg.Go(func() {
			<-release
			answer, err := p.Charge(t.Context(), charge("k1", simulated.MethodVisa))
			if err != nil {
				t.Error(err)
			}
			answers <- answer
		})
	}
	close(release)
	wg.Wait()
	close(answers)
	first := <-answers
	for other := range answers {
		require.Equal(t, first, other)
	}
	require.Equal(t, 1, charges(t, books))
}

// Charges that come at once are entered by one statement, which can meet a key only once.
func TestChargesThatComeAtOnceAreEachEnteredOnce(t *testing.T) {
	t.Parallel()
	books := setup(t)
	p := simulated.New(simulated.Config{Books: books})
	const keys, times = 40, 3
	ids := make([]string, keys*times)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			answer, err := p.Charge(t.Context(), charge(fmt.Sprintf("k%d", i%keys), simulated.MethodVisa))
			if err != nil {
				t.Error(err)
			}
			ids[i] = answer.PaymentID
		})
	}
	wg.Wait()
	different := map[string]bool{}
	for i, id := range ids {
		require.Equal(t, ids[i%keys], id, "the same key gets the same answer")
		different[id] = true
	}
	require.Len(t, different, keys)
	require.Equal(t, keys, charges(t, books))
	var calls int
	require.NoError(t, books.QueryRow(t.Context(), `SELECT sum(charge_calls) FROM provider_ledger`).Scan(&calls))
	require.Equal(t, keys*times, calls)
}

// One that the books refuse fails alone, however many are entered with it.
func TestAChargeThatCannotBeEnteredFailsAlone(t *testing.T) {
	t.Parallel()
	books := setup(t)
	p := simulated.New(simulated.Config{Books: books})
	const good = 20
	errs := make([]error, good+1)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			c := charge(fmt.Sprintf("k%d", i), simulated.MethodVisa)
			if i == good {
				c.Amount.Minor = -1
			}
			_, errs[i] = p.Charge(t.Context(), c)
		})
	}
	wg.Wait()
	for _, err := range errs[:good] {
		require.NoError(t, err)
	}
	require.Error(t, errs[good])
	require.Equal(t, good, charges(t, books))
}

func TestChargeRefusesAKeyOfAnotherCharge(t *testing.T) {
	t.Parallel()
	p := simulated.New(simulated.Config{Books: setup(t)})
	first := charge("k1", simulated.MethodFlaky)
	_, err := p.Charge(t.Context(), first)
	require.ErrorIs(t, err, simulated.ErrUnavailable)

	amount, currency, user := first, first, first
	amount.Amount.Minor = 5000
	currency.Amount.Currency = "EUR"
	user.UserID = "u2"
	for _, other := range []app.Charge{amount, currency, user, amount} {
		_, err := p.Charge(t.Context(), other)
		require.ErrorIs(t, err, app.ErrKeyReused)
	}
	held, err := p.Lookup(t.Context(), "k1")
	require.NoError(t, err)
	require.False(t, held, "another's charge does not make the first one work")
}

func TestRefund(t *testing.T) {
	t.Parallel()
	books := setup(t)
	p := simulated.New(simulated.Config{Books: books})
	held := func() bool {
		held, err := p.Lookup(t.Context(), "k1")
		require.NoError(t, err)
		return held
	}

	require.False(t, held())
	require.ErrorIs(t, p.Refund(t.Context(), "k1"), app.ErrNoCharge)
	first, err := p.Charge(t.Context(), charge("k1", simulated.MethodVisa))
	require.NoError(t, err)
	require.True(t, held())

	require.NoError(t, p.Refund(t.Context(), "k1"))
	require.False(t, held())
	at := refundedAt(t, books)
	require.NoError(t, p.Refund(t.Context(), "k1"), "again changes nothing")
	require.Equal(t, at, refundedAt(t, books))
	again, err := p.Charge(t.Context(), charge("k1", simulated.MethodVisa))
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.False(t, held(), "a charge given back is not taken again")

	_, err = p.Charge(t.Context(), charge("k2", simulated.MethodDeclined))
	require.NoError(t, err)
	require.ErrorIs(t, p.Refund(t.Context(), "k2"), app.ErrNoCharge)
}

func refundedAt(t *testing.T, books *pgxpool.Pool) (at time.Time) {
	t.Helper()
	require.NoError(t, books.QueryRow(t.Context(), `SELECT refunded_at FROM provider_ledger WHERE idempotency_key = 'k1'`).Scan(&at))
	return at
}

func TestErrorRate(t *testing.T) {
	t.Parallel()
	books := setup(t)
	luck := 0.1
	p := simulated.New(simulated.Config{Books: books, ErrorRate: 0.5, Random: func() float64 { return luck }})

	_, err := p.Charge(t.Context(), charge("k1", simulated.MethodVisa))
	require.ErrorIs(t, err, simulated.ErrUnavailable)
	require.Equal(t, 0, charges(t, books), "nothing was done")

	luck = 0.4
	answer, err := p.Charge(t.Context(), charge("k1", simulated.MethodVisa))
	require.ErrorIs(t, err, simulated.ErrUnavailable)
	require.Empty(t, answer)
	require.Equal(t, 1, charges(t, books), "done, and the answer lost")
	held, err := p.Lookup(t.Context(), "k1")
	require.ErrorIs(t, err, simulated.ErrUnavailable)
	require.False(t, held)

	luck = 0.5
	_, err = p.Charge(t.Context(), charge("k1", simulated.MethodVisa))
	require.NoError(t, err)
	require.Equal(t, 1, charges(t, books))
}

func TestLatencyEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := simulated.New(simulated.Config{Latency: time.Minute}) // the books are never reached
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := p.Charge(ctx, charge("k1", simulated.MethodVisa))
		require.ErrorIs(t, err, simulated.ErrUnavailable)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(start))
	})
}
