// Package messagestest holds the one table of values that every reader of the contract must read in the same way: the
// services from Kafka and over HTTP, the tools of pas, and the Spark job. Tests of each reader go through it.
package messagestest

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pasdetrois/pkg/messages"
)

//go:embed values.json
var table []byte

// Refused stands for a value that a reader refuses.
const Refused = "refused"

// Case is one record of the topic orders, and what each reader must make of it.
type Case struct {
	Name    string
	Value   []byte // nil is a tombstone
	Headers []messages.Header

	// Unreadable is the reason of a value that no reader can read, "" for a JSON object.
	Unreadable string
	// Services is what the service makes of the record: "order_placed", "unknown", or the reason that it parks it with.
	Services string
	// What every reader reads of it. Time is RFC 3339, "" for the record's own. Amount is "" for none and Refused for one
	// that cannot be read.
	Event, OrderID, UserID, Time, Amount string
	// Quantity and SKU are those of the only line; "" for an order without lines.
	Quantity, SKU string
	// HTTP says what the server makes of the same body: "accepted", "new" (with an id that it chooses), or Refused. It is
	// "" for a case that cannot be sent over HTTP, such as one that lives from its headers.
	HTTP string
}

// row is one entry of the table. For a field, JSON is the value of that field in an order that is complete else.
type row struct {
	JSON       string  `json:"json"`
	Reads      string  `json:"reads"`
	Unreadable string  `json:"unreadable"`
	Services   string  `json:"services"`
	HTTP       string  `json:"http"`
	Windows    *string `json:"windows"` // the amount, where the order is refused and the amount is not

	What      string            `json:"what"`
	Value     string            `json:"value"`
	Base64    []byte            `json:"base64"`
	Tombstone bool              `json:"tombstone"`
	Headers   map[string]string `json:"headers"`
	Event     string            `json:"event"`
	OrderID   string            `json:"order_id"`
	Amount    string            `json:"amount"`
	Time      string            `json:"time"`
}

// SKU is the product of which orders with lines have some pieces.
const SKU = "value-table"

// Cases returns the table.
func Cases() []Case {
	var groups map[string][]row
	if err := json.Unmarshal(table, &groups); err != nil {
		panic(fmt.Sprintf("values.json: %v", err))
	}
	var cases []Case
	for _, field := range slices.Sorted(maps.Keys(groups)) {
		for _, r := range groups[field] {
			id := fmt.Sprintf("v-%d", len(cases))
			if field == "records" {
				cases = append(cases, r.record(id))
			} else {
				cases = append(cases, r.field(field, id))
			}
		}
	}
	return cases
}

// field makes the case of one field's value.
func (r row) field(field, id string) Case {
	members := [][2]string{{"order_id", `"` + id + `"`}, {"user_id", `"u"`}, {"total", "5"}}
	c := Case{Name: field + " " + r.JSON, Event: messages.EventOrderPlaced, OrderID: id, UserID: "u", Amount: "5.00 USD",
		Services: messages.EventOrderPlaced, HTTP: "accepted", Unreadable: r.Unreadable}
	refused := r.Reads == Refused
	switch field {
	case "order_id":
		c.OrderID = r.Reads
	case "user_id":
		c.UserID = r.Reads
	case "total":
		c.Amount = r.Reads
	case "timestamp":
		c.Time, c.HTTP = r.Reads, ""
	case "event":
		c.Event, c.HTTP = r.Reads, ""
	case "currency":
		c.Amount = map[string]string{"JPY": "5 JPY", "KWD": "5.000 KWD", Refused: Refused}[r.Reads]
		if c.Amount == "" {
			c.Amount = "5.00 " + r.Reads
		}
	case "quantity":
		c.Quantity, c.SKU, c.Amount = r.Reads, SKU, ""
		members = append(members[:2], [2]string{"items", `[{"sku":"` + SKU + `","quantity":` + r.JSON + `}]`})
	case "sku":
		c.Quantity, c.SKU, c.Amount = "2", r.Reads, ""
		members = append(members[:2], [2]string{"items", `[{"sku":` + r.JSON + `,"quantity":2}]`})
	}
	if refused {
		c.Services, c.HTTP = messages.ReasonInvalidMessage, Refused
		c.OrderID, c.UserID = strings.TrimSuffix(c.OrderID, Refused), strings.TrimSuffix(c.UserID, Refused)
		c.Time, c.Quantity = strings.TrimSuffix(c.Time, Refused), strings.TrimSuffix(c.Quantity, Refused)
		if field == "timestamp" {
			c.HTTP = ""
		}
		if field == "currency" && strings.HasPrefix(r.JSON, `"`) {
			c.Services = messages.ReasonUnknownCurrency
		}
	}
	if field != "quantity" && field != "sku" {
		members = slices.DeleteFunc(members, func(m [2]string) bool { return m[0] == field })
		members = append(members, [2]string{field, r.JSON})
	}
	var parts []string
	for _, m := range members {
		parts = append(parts, `"`+m[0]+`":`+m[1])
	}
	c.Value = []byte("{" + strings.Join(parts, ",") + "}")
	if r.Windows != nil {
		c.Amount = *r.Windows
	}
	return r.finish(c)
}

// record makes the case of a whole record. ID in it stands for the case's order.
func (r row) record(id string) Case {
	c := Case{Name: r.What, Value: []byte(strings.ReplaceAll(r.Value, "ID", id)), Unreadable: r.Unreadable, Event: r.Event, Time: r.Time,
		Amount: r.Amount, Services: messages.EventOrderPlaced, HTTP: "accepted"}
	switch {
	case r.Tombstone:
		c.Value = nil
	case r.Base64 != nil:
		c.Value = r.Base64
	}
	for _, key := range slices.Sorted(maps.Keys(r.Headers)) {
		c.Headers = append(c.Headers, messages.Header{Key: key, Value: []byte(r.Headers[key])})
	}
	if strings.Contains(r.Value, `"ID"`) {
		c.OrderID = id
	}
	if strings.Contains(r.Value, `"u"`) {
		c.UserID = "u"
	}
	if r.OrderID != "" {
		c.OrderID, c.UserID = r.OrderID, "u"
	}
	return r.finish(c)
}

func (r row) finish(c Case) Case {
	if r.Services != "" {
		c.Services = r.Services
	}
	if c.Services == messages.ReasonInvalidMessage && c.HTTP == "accepted" {
		c.HTTP = Refused
	}
	if r.Unreadable != "" {
		c.Services, c.HTTP = r.Unreadable, Refused
		c.Event, c.OrderID, c.UserID, c.Time, c.Amount, c.Quantity, c.SKU = "", "", "", "", "", "", ""
	}
	switch r.HTTP {
	case "":
	case "-":
		c.HTTP = ""
	default:
		c.HTTP = r.HTTP
	}
	return c
}

// Base64 returns the value as text, for a reader in another process.
func (c Case) Base64() string { return base64.StdEncoding.EncodeToString(c.Value) }
