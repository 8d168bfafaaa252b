package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/pkg/messages"
	"pasdetrois/toolbox/client"
)

// number writes a decimal as a JSON number, without a detour over floating point.
func number(decimal string) json.Number { return json.Number(decimal) }

// money parses an amount exactly, without floating point, so that 49.5 and 49.50 are equal.
func (a *act) money(decimal json.Number, currency string) messages.Money {
	m, err := messages.ParseMoney(decimal.String(), currency)
	a.try(err, "read amount %q", decimal)
	return m
}

// stock expects the pieces of sku to be distributed like this. Their sum must equal the pieces that were ever
// stocked. It does not wait: call it after a step that waits for the order.
func (a *act) stock(sku string, available, reserved, sold int64) {
	if !a.ok() {
		return
	}
	s, err := a.env.Client.Stock(a.ctx, sku)
	if !a.try(err, "read the stock of %s", sku) {
		return
	}
	expect(a, "stock of "+sku+" (available/reserved/sold)",
		fmt.Sprintf("%d/%d/%d", available, reserved, sold), fmt.Sprintf("%d/%d/%d", s.Available, s.Reserved, s.Sold))
	expect(a, "stocked pieces of "+sku, available+reserved+sold, s.Stocked)
	if a.ok() {
		a.note("stock of %s: %d available, %d reserved, %d sold", sku, available, reserved, sold)
	}
}

// payment waits until the order's payment has this status, then expects its amount and reason.
func (a *act) payment(orderID, status, amount, reason string) client.Payment {
	var p client.Payment
	a.until("payment of order "+orderID, func(ctx context.Context) error {
		var err error
		if p, err = a.env.Client.Payment(ctx, orderID); err != nil {
			return err
		}
		if p.Status != status {
			return fmt.Errorf("it is %q, expected %q", p.Status, status)
		}
		return nil
	})
	if !a.ok() {
		return p
	}
	expect(a, "amount of the payment", a.money(number(amount), p.Currency), a.money(p.Amount, p.Currency))
	expect(a, "reason of the payment", reason, p.Reason)
	a.ledger(p)
	if a.ok() {
		a.note("payment: %s %s %s", p.Amount, p.Currency, strings.TrimSpace(p.Status+" "+p.Reason))
	}
	return p
}

// ledger expects the provider's own entries to agree with the payment: one entry, or none when the provider was
// never asked. Two entries would be a double charge. Without access to the ledger nothing is checked.
func (a *act) ledger(p client.Payment) {
	if !a.ok() || a.env.Ledger == nil {
		return
	}
	want := map[string]string{"captured": "charged", "refunded": "refunded", "failed": "declined", "voided": ""}[p.Status]
	// A suspicious payment never reaches the provider, so its ledger has no entry.
	if p.Reason == reasonFraud {
		want = ""
	}
	entries, err := a.env.Ledger(a.ctx, p.OrderID)
	a.try(err, "read the provider's ledger about order %s", p.OrderID)
	expect(a, "the provider's ledger about order "+p.OrderID, want, strings.Join(entries, " "))
}

// noPayment expects that payments has no payment for the order. A failed request is a failure and no proof.
func (a *act) noPayment(orderID string) {
	if !a.ok() {
		return
	}
	p, err := a.env.Client.Payment(a.ctx, orderID)
	if err == nil {
		a.fail("order %s has a payment (%s), expected none", orderID, p.Status)
		return
	}
	if client.StatusOf(err) != http.StatusNotFound {
		a.try(err, "look for a payment of order %s", orderID)
	}
}

// emails waits until exactly these kinds of notification about the order were sent, one of each. Where email
// lines can be read, it expects one line for each as well. One too many fails at once.
func (a *act) emails(orderID string, kinds ...string) {
	a.until("emails about order "+orderID, func(ctx context.Context) error {
		listed, err := a.env.Client.Notifications(ctx, orderID)
		if err != nil {
			return err
		}
		var sent []string
		for _, n := range listed {
			if n.Status == "sent" {
				sent = append(sent, n.Kind)
			}
		}
		if err := sameKinds("sent notifications", kinds, sent); err != nil {
			return err
		}
		if a.env.Emails == nil {
			return nil
		}
		var lines []string
		for _, e := range a.env.Emails() {
			if e.OrderID == orderID {
				lines = append(lines, e.Kind)
			}
		}
		return sameKinds("email lines", kinds, lines)
	})
}

// sameKinds compares two multisets of kinds. Too many is hopeless: an email cannot be called back.
func sameKinds(what string, want, got []string) error {
	want, got = slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))
	switch {
	case slices.Equal(want, got):
		return nil
	case len(got) > len(want):
		return hopeless("%s are %v, expected %v", what, got, want)
	default:
		return fmt.Errorf("%s are %v, expected %v", what, got, want)
	}
}

// statuses expects the order's timeline to contain all statuses in passed and no status in never.
func (a *act) statuses(orderID string, passed, never []string) {
	if !a.ok() {
		return
	}
	timeline, err := a.env.Client.Timeline(a.ctx, orderID)
	if !a.try(err, "read the timeline of order %s", orderID) {
		return
	}
	seen := map[string]bool{}
	for _, event := range timeline {
		seen[event.To] = true
	}
	for _, status := range passed {
		if !seen[status] {
			a.fail("the timeline of order %s never was %s", orderID, status)
		}
	}
	for _, status := range never {
		if seen[status] {
			a.fail("the timeline of order %s has %s, which must not happen", orderID, status)
		}
	}
}

// refused expects err to be the service's rejection with this HTTP status. A network error has status 0 and
// fails, too.
func (a *act) refused(err error, status int, what string) {
	if !a.ok() {
		return
	}
	if got := client.StatusOf(err); got != status {
		if err == nil {
			a.fail("%s was accepted, expected HTTP %d", what, status)
			return
		}
		a.fail("%s: expected HTTP %d: %w", what, status, err)
		return
	}
	a.note("%s: %v", what, err)
}

// emailsOf returns the email lines about an order. Where lines cannot be read, it returns the sent
// notifications instead.
func (a *act) emailsOf(ctx context.Context, orderID string) ([]stack.Email, error) {
	emails := []stack.Email{}
	if a.env.Emails != nil {
		for _, e := range a.env.Emails() {
			if e.OrderID == orderID {
				emails = append(emails, e)
			}
		}
		return emails, nil
	}
	listed, err := a.env.Client.Notifications(ctx, orderID)
	for _, n := range listed {
		if n.Status == "sent" {
			emails = append(emails, stack.Email{To: n.To, Subject: n.Subject, OrderID: n.OrderID, Kind: n.Kind, Message: n.Message})
		}
	}
	return emails, err
}
