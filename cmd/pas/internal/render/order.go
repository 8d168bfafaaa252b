package render

import (
	"fmt"
	"strings"
	"time"

	"pasdetrois/cmd/pas/stack"
	"pasdetrois/toolbox/client"
)

// Order writes an order, its items and its timeline. Prices appear only where the order has them.
func (p *Printer) Order(o client.Order, timeline []client.Event) {
	p.Line("%s", p.orderLine(o))
	for _, item := range o.Items {
		price := ""
		if item.UnitPrice != "" {
			price = fmt.Sprintf(" at %s %s", item.UnitPrice, o.Currency)
		}
		p.Line("  %d x %s%s", item.Quantity, Plain(item.SKU), price)
	}
	p.Timeline(timeline, "  ")
}

func (p *Printer) orderLine(o client.Order) string {
	line := fmt.Sprintf("order %s  %s  %s %s  user %s", p.Bold(Plain(o.OrderID)), p.Status(o.Status), o.Total, o.Currency, Plain(o.UserID))
	if o.Reason != "" {
		line += "  reason " + Plain(o.Reason)
	}
	return line
}

// Timeline writes the events of an order, each with the time since the first one.
func (p *Printer) Timeline(timeline []client.Event, indent string) {
	for _, e := range timeline {
		detail := ""
		if e.Detail != "" {
			detail = "  " + p.Dim(Plain(e.Detail))
		}
		status := p.Status(e.To)
		p.Line("%s%s  %-22s %s%s", indent, p.Dim(fmt.Sprintf("%9s", "+"+since(timeline[0].At, e.At))), Plain(e.Event), status, detail)
	}
}

// since formats a distance: milliseconds below one second, else rounded to 10 ms.
func since(start, at time.Time) string {
	d := at.Sub(start)
	if d >= time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

// Email writes one email line. The message comes from order data, so that it is foreign text, too.
func (p *Printer) Email(e stack.Email, indent string) {
	p.Line("%s%s to %s: %s", indent, p.Bold("email"), Plain(e.To), Plain(e.Message))
}

// Inventory writes the catalogue. Its columns satisfy available + reserved + sold = stocked.
func (p *Printer) Inventory(stocks []client.Stock) {
	rows := make([][]string, len(stocks))
	for i, s := range stocks {
		rows[i] = []string{Plain(s.SKU), Plain(s.Name), s.Price.String() + " " + s.Currency,
			fmt.Sprint(s.Available), fmt.Sprint(s.Reserved), fmt.Sprint(s.Sold), fmt.Sprint(s.Stocked)}
	}
	p.Table([]string{"sku", "name", "price", "available", "reserved", "sold", "stocked"}, rows,
		"price", "available", "reserved", "sold", "stocked")
}

// DeadLetter writes one parked message whole. Keys, header values and bodies that are not UTF-8 are shown with
// escapes. Empty fields are left out.
func (p *Printer) DeadLetter(service string, l client.DeadLetter) {
	field := func(name, value string) {
		if value != "" {
			p.Line("%-10s %s", name, value)
		}
	}
	field("service", service)
	field("id", fmt.Sprint(l.ID))
	field("state", p.Status(l.State))
	field("reason", l.Reason)
	field("detail", Plain(l.Detail))
	// LastOffset is set where a whole record batch could not be read: the letter then stands for a range of
	// records.
	offset := fmt.Sprintf("offset %d", l.Offset)
	if l.LastOffset > 0 {
		offset = fmt.Sprintf("a batch that could not be read, offsets %d to %d", l.Offset, l.LastOffset)
	}
	field("record", fmt.Sprintf("%s, partition %d, %s, written %s", l.Topic, l.Partition, offset, l.Time.Format(time.RFC3339)))
	field("parked", l.ParkedAt.Format(time.RFC3339))
	if l.Attempts > 0 {
		field("replays", fmt.Sprint(l.Attempts))
	}
	field("key", Plain(l.Key+string(l.KeyBase64)))
	for _, h := range l.Headers {
		field("header", Plain(h.Key)+": "+Plain(h.Value+string(h.ValueBase64)))
	}
	field("value", Plain(string(l.Bytes())))
	if l.Cut {
		field("cut", fmt.Sprintf("this is the beginning of the record: its value had %d bytes, so it cannot be replayed", l.ValueBytes))
		field("sha256", l.ValueSHA256)
	}
	for line := range strings.Lines(l.Stack) {
		p.Line("  %s", p.Dim(Plain(strings.TrimRight(line, "\n"))))
	}
}
