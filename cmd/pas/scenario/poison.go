package scenario

import (
	"context"
	"errors"
	"fmt"

	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// PoisonMessage writes two messages that can never succeed, and a good one behind them in the same partition.
// Each bad one is parked once, and the good one is handled at once. One bad message becomes valid by a new
// price and is replayed. The other one is discarded.
func PoisonMessage() Scenario {
	return Scenario{Name: "poison-message", Title: "what cannot be handled is parked, shown, and replayed once it can be", play: func(a *act) {
		sku := a.product("opera glasses", "10.00", 5)
		garbage := "\xff\x00 this is not JSON"
		// All three records are in one partition: a bad record must not hold up those behind it.
		first := a.write(messages.TopicOrders, 1, []byte("garbage-"+a.suffix), []byte(garbage))
		id := "poison-" + a.suffix
		// This total contradicts the price of 10.00. No retry helps, until a person changes the price.
		wrong := a.body(map[string]any{"event": messages.EventOrderPlaced, "order_id": id, "user_id": a.user("kit"),
			"total": number("12.50"), "items": []any{map[string]any{"sku": sku, "quantity": 1}}})
		second := a.write(messages.TopicOrders, 1, []byte(id), wrong)
		behind := "behind-" + a.suffix
		a.write(messages.TopicOrders, 1, []byte(behind), a.body(map[string]any{"order_id": behind, "user_id": a.user("kit"), "total": number("5.00")}))
		a.settled(behind, "confirmed", "")
		a.note("the message behind them in the partition was handled")

		junk := a.parked(client.Orders, first, reasonNotJSON, garbage)
		letter := a.parked(client.Orders, second, reasonTotalDiffers, string(wrong))
		// A parked order must have left neither a row nor a reservation.
		a.noOrder(id)
		a.stock(sku, 5, 0, 0)

		if a.ok() {
			_, err := a.env.Client.PutProduct(a.ctx, sku, client.Product{Name: "opera glasses", Price: number("12.50")})
			a.try(err, "change the price of %s", sku)
			a.note("PUT /inventory/%s: the price is 12.50 now", sku)
		}
		if a.ok() {
			_, err := a.env.Client.ReplayDeadLetter(a.ctx, client.Orders, letter.ID)
			a.try(err, "replay dead letter %d", letter.ID)
			a.note("dead letter %d replayed", letter.ID)
		}
		a.letterBecomes(client.Orders, letter.ID, client.LetterReplayed)
		// The replay goes the usual way of an order, up to the email.
		a.settled(id, "confirmed", "")
		a.stock(sku, 4, 0, 1)
		a.payment(id, "captured", "12.50", "")
		a.emails(id, messages.KindConfirmed)
		a.emails(behind, messages.KindConfirmed)

		if a.ok() {
			_, err := a.env.Client.DiscardDeadLetter(a.ctx, client.Orders, junk.ID)
			a.try(err, "discard dead letter %d", junk.ID)
			a.note("dead letter %d discarded", junk.ID)
		}
		a.letterBecomes(client.Orders, junk.ID, client.LetterDiscarded)
	}}
}

// parked waits until the service has parked the record once, and expects its whole value and this reason.
func (a *act) parked(service string, at position, reason, value string) client.DeadLetter {
	var letter client.DeadLetter
	a.until(fmt.Sprintf("%s should park %s", service, at), func(ctx context.Context) error {
		letters, err := a.env.Client.DeadLetters(ctx, service, client.LetterAll, 0)
		if err != nil {
			return err
		}
		found := 0
		for _, l := range letters {
			if l.Topic == at.topic && l.Partition == at.partition && l.Offset == at.offset && l.State == client.LetterParked {
				letter, found = l, found+1
			}
		}
		switch found {
		case 0:
			return errors.New("it is not there")
		case 1:
			return nil
		default:
			return hopeless("it is there %d times", found)
		}
	})
	if !a.ok() {
		return letter
	}
	whole, err := a.env.Client.DeadLetter(a.ctx, service, letter.ID)
	a.try(err, "show dead letter %d", letter.ID)
	expect(a, "reason of the dead letter", reason, whole.Reason)
	expect(a, "value of the dead letter", value, string(whole.Bytes()))
	a.note("dead letter %d of %s: %s, %s (%s)", whole.ID, service, at, whole.Reason, whole.Detail)
	return whole
}

// letterBecomes waits until the dead letter has this state. A replay is asynchronous: the request only
// schedules it.
func (a *act) letterBecomes(service string, id int64, state string) {
	a.until(fmt.Sprintf("dead letter %d should be %s", id, state), func(ctx context.Context) error {
		letter, err := a.env.Client.DeadLetter(ctx, service, id)
		if err == nil && letter.State != state {
			err = fmt.Errorf("it is %s (%s)", letter.State, letter.Detail)
		}
		return err
	})
}

// noOrder expects that no order has this id, since a parked message must leave nothing half done.
func (a *act) noOrder(orderID string) {
	if !a.ok() {
		return
	}
	_, err := a.env.Client.Order(a.ctx, orderID, 0)
	if client.StatusOf(err) != 404 {
		a.fail("order %s exists, expected that it was parked: %v", orderID, err)
	}
}
