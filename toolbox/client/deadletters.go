package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The states of a dead letter.
const (
	LetterParked    = "parked"
	LetterReplaying = "replaying"
	LetterReplayed  = "replayed"
	LetterDiscarded = "discarded"
	LetterAll       = "all" // for a list: any state
)

// DeadLetter is a record that a service parked, because no retry can handle it. Bytes that are not text are in the
// …Base64 field instead.
type DeadLetter struct {
	ID          int64          `json:"id"`
	Topic       string         `json:"topic"`
	Partition   int32          `json:"partition"`
	Offset      int64          `json:"offset"`
	LastOffset  int64          `json:"last_offset,omitempty"` // of a batch that could not be read
	Key         string         `json:"key,omitempty"`
	KeyBase64   []byte         `json:"key_base64,omitempty"`
	Value       *string        `json:"value,omitempty"` // nil in lists and for a record without a value
	ValueBase64 []byte         `json:"value_base64,omitempty"`
	ValueBytes  int64          `json:"value_bytes,omitempty"`  // of the whole value
	ValueSHA256 string         `json:"value_sha256,omitempty"` // of the whole value, when the letter has its beginning only
	Cut         bool           `json:"cut,omitempty"`          // the letter does not hold the whole record
	Headers     []LetterHeader `json:"headers,omitempty"`
	Reason      string         `json:"reason"`
	Detail      string         `json:"detail"`
	Stack       string         `json:"stack,omitempty"`
	State       string         `json:"state"`
	Attempts    int            `json:"attempts"`
	Time        time.Time      `json:"time"`
	ParkedAt    time.Time      `json:"parked_at"`
}

// LetterHeader is one header of a parked record.
type LetterHeader struct {
	Key         string `json:"key"`
	Value       string `json:"value,omitempty"`
	ValueBase64 []byte `json:"value_base64,omitempty"`
}

// Bytes returns the parked record's value as it was, nil for a record without one.
func (l DeadLetter) Bytes() []byte {
	if l.Value != nil {
		return []byte(*l.Value)
	}
	return l.ValueBase64
}

// Bytes returns the header's value as it was.
func (h LetterHeader) Bytes() []byte {
	if h.Value != "" {
		return []byte(h.Value)
	}
	return h.ValueBase64
}

// DeadLetters lists the dead letters of a service in a state, up to limit (0 = all). Their values are not in the list.
func (c *Client) DeadLetters(ctx context.Context, service, state string, limit int) ([]DeadLetter, error) {
	query := url.Values{"limit": {"500"}}
	if state != "" {
		query.Set("state", state)
	}
	return list[DeadLetter](ctx, c, call{service: service, admin: true, method: http.MethodGet, path: "/dead-letters", query: query}, limit)
}

// DeadLetter returns one dead letter whole.
func (c *Client) DeadLetter(ctx context.Context, service string, id int64) (DeadLetter, error) {
	return c.letter(ctx, service, http.MethodGet, id, "")
}

// ReplayDeadLetter makes the service handle the dead letter again. The service does so in the background: the letter's
// state shows when it is done.
func (c *Client) ReplayDeadLetter(ctx context.Context, service string, id int64) (DeadLetter, error) {
	return c.letter(ctx, service, http.MethodPost, id, "/replay")
}

// DiscardDeadLetter marks the dead letter as discarded, so that it is never handled.
func (c *Client) DiscardDeadLetter(ctx context.Context, service string, id int64) (DeadLetter, error) {
	return c.letter(ctx, service, http.MethodPost, id, "/discard")
}

func (c *Client) letter(ctx context.Context, service, method string, id int64, verb string) (DeadLetter, error) {
	var letter DeadLetter
	_, err := c.do(ctx, call{service: service, admin: true, method: method,
		path: "/dead-letters/" + strconv.FormatInt(id, 10) + verb}, &letter)
	return letter, err
}
