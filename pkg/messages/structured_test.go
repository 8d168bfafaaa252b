package messages_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"pasdetrois/pkg/messages"
)

const (
	structured = "application/cloudevents+json"
	data       = `{"order_id":"o-1","user_id":"u-1","total":49.99}`
)

// event returns a structured CloudEvent as the SDKs write it, with more members.
func structuredEvent(members string) string {
	return `{"specversion":"1.0","id":"e-1","source":"https://shop.example/tills/7","type":"pasdetrois.order_placed.v1",` +
		`"time":"2026-03-14T09:26:53.5Z","datacontenttype":"application/json","subject":"o-1","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"` + members + `}`
}

// What the SDKs of CloudEvents write in structured mode: Java 4.0 and Go 2.15 (content type below, data as an object),
// JavaScript 10.0 (the same with a charset), Python 1.12 (application/json), and binary data as base64.
func TestStructuredCloudEventsAreRead(t *testing.T) {
	t.Parallel()
	encoded := base64.StdEncoding.EncodeToString([]byte(data))
	for name, c := range map[string]struct{ contentType, value string }{
		"object":                {structured, structuredEvent(`,"data":` + data)},
		"charset":               {structured + "; charset=utf-8", structuredEvent(`,"data":` + data)},
		"upper case":            {"Application/CloudEvents+JSON", structuredEvent(`,"data":` + data)},
		"labelled as JSON":      {"application/json", structuredEvent(`,"data":` + data)},
		"no content type":       {"", structuredEvent(`,"data":` + data)},
		"base64":                {structured, structuredEvent(`,"data_base64":"` + encoded + `"`)},
		"data first":            {structured, `{"data":` + data + `,` + structuredEvent("")[1:]},
		"with byte order marks": {structured, "\ufeff" + structuredEvent(`,"data":`+data)},
		"with an extension":     {structured, structuredEvent(`,"user_note":"x","data":` + data)},
	} {
		r := order(c.value)
		r.Headers = headers("content-type", c.contentType)
		m, err := messages.Decode(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		plain := decodeOrder(t, order(data))
		if got := m.Event.(messages.OrderPlaced); got.OrderID != plain.OrderID || got.UserID != plain.UserID || got.Total != plain.Total {
			t.Errorf("%s: event %+v", name, got)
		}
		binary := decodeWith(t, "ce_id", "e-1", "ce_source", "https://shop.example/tills/7")
		if m.ID != binary.ID || m.Source != "https://shop.example/tills/7" || !m.Time.Equal(time.Date(2026, 3, 14, 9, 26, 53, 500_000_000, time.UTC)) ||
			!strings.HasPrefix(m.TraceParent, "00-4bf92f3577b34da6a3ce929d0e0e4736") {
			t.Errorf("%s: id %s, source %s, time %s, trace %s", name, m.ID, m.Source, m.Time, m.TraceParent)
		}
	}
}

func TestStructuredCloudEventsThatCannotBeReadAreRefused(t *testing.T) {
	t.Parallel()
	foreign := strings.Replace(structuredEvent(`,"data":`+data), "pasdetrois.order_placed.v1", "com.example.order.cancelled", 1)
	for name, c := range map[string]struct{ contentType, value, reason, detail string }{
		"no data":           {structured, structuredEvent(""), messages.ReasonInvalidMessage, "no data"},
		"null":              {structured, structuredEvent(`,"data":null`), messages.ReasonInvalidMessage, "no data"},
		"text":              {structured, structuredEvent(`,"data":"x"`), messages.ReasonInvalidMessage, "data must be an object"},
		"bad base64":        {structured, structuredEvent(`,"data_base64":"%"`), messages.ReasonInvalidMessage, "base64"},
		"no JSON in base64": {structured, structuredEvent(`,"data_base64":"` + base64.StdEncoding.EncodeToString([]byte("{")) + `"`), messages.ReasonNotJSON, ""},
		"incomplete order":  {structured, structuredEvent(`,"data":{"order_id":"o-1"}`), messages.ReasonInvalidMessage, "user_id"},
		"another version":   {structured, strings.Replace(structuredEvent(`,"data":`+data), `"1.0"`, `"0.3"`, 1), messages.ReasonInvalidMessage, "specversion"},
		"not an event":      {structured, data, messages.ReasonInvalidMessage, "specversion"},
		"a foreign type":    {structured, foreign, messages.ReasonForeignType, "order_placed"},
		"a batch":           {"application/cloudevents-batch+json", `[` + structuredEvent(`,"data":`+data) + `]`, messages.ReasonInvalidMessage, ""},
	} {
		r := order(c.value)
		r.Headers = headers("content-type", c.contentType)
		if reason, detail := reasonOf(t, r); reason != c.reason || !strings.Contains(detail, c.detail) {
			t.Errorf("%s: %s, %s", name, reason, detail)
		}
	}
	r := order(strings.Replace(structuredEvent(`,"data":`+data), "order_placed.v1", "order_placed.v2", 1))
	if got := eventOf(r); got != "unknown" {
		t.Errorf("version 2 is read as %s", got)
	}
}

// A plain order with a member called specversion is a plain order.
func TestAPlainOrderIsNoEnvelope(t *testing.T) {
	t.Parallel()
	if got := decodeOrder(t, with(`,"specversion":"1.0"`)).OrderID; got != "o-1" {
		t.Errorf("order %q", got)
	}
}
