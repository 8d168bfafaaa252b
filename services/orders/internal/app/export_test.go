package app

import (
	"time"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/orders/internal/domain"
)

// Configure changes what a was made with.
func Configure(a *App, change func(*Config)) { change(&a.cfg) }

// Waiting returns how many wait for an order.
func (a *App) Waiting(orderID string) int {
	a.watchers.mu.Lock()
	defer a.watchers.mu.Unlock()
	if entry := a.watchers.byID[orderID]; entry != nil {
		return len(entry.all)
	}
	return 0
}

// Crowded lets a see more orders that wait for their end than it may take.
func Crowded(a *App) {
	a.backlog.within = time.Second
	now := a.now().Unix()
	for n := now - 10; n < now+3; n++ {
		*a.backlog.at(n) = second{number: n, taken: backlogOrders, ended: 10, waited: 10 * time.Minute}
	}
}

// Outputs returns what is published when an order reaches its status.
func Outputs(o *domain.Order) []messages.Message { return outputs(o) }

// MoneyBack returns what is published when money came in after the end.
func MoneyBack(o *domain.Order, amount messages.Money) messages.Message { return moneyBack(o, amount) }
