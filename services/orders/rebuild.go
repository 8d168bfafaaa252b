package orders

import (
	"cmp"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"pasdetrois/pkg/platform/rebuild"
	"pasdetrois/services/orders/internal/domain"
	"pasdetrois/services/orders/internal/store"
)

// The defaults of PAYMENT_TIMEOUT and PENDING_REPUBLISH_AFTER.
const (
	defaultPaymentTimeout   = 15 * time.Minute
	defaultPendingRepublish = time.Minute
)

// NewState returns the state of orders to rebuild, over the pool's schema. paymentTimeout is the service's PAYMENT_TIMEOUT, 0 =
// its default: it sets the deadlines of orders that wait for their payment.
func NewState(pool *pgxpool.Pool, paymentTimeout time.Duration) rebuild.State {
	policy := domain.Policy{PaymentTimeout: cmp.Or(paymentTimeout, defaultPaymentTimeout), RepublishAfter: defaultPendingRepublish}
	return store.NewRebuilder(pool, policy, time.Now)
}
