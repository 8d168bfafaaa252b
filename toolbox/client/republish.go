package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Republished is an order whose messages were published again.
type Republished struct {
	OrderID string `json:"order_id"`
	Status  string `json:"status"`
}

// Republish makes orders publish the messages of an order's status again, with their ids of the first time.
func (c *Client) Republish(ctx context.Context, id string) (Republished, error) {
	var done Republished
	_, err := c.do(ctx, call{service: Orders, admin: true, method: http.MethodPost, path: "/orders/" + url.PathEscape(id) + "/republish", same: true}, &done)
	return done, err
}

// RepublishPlaced does the same for at most limit orders that were placed in a time, newest first. A zero to means now. It
// returns the cursor of the next page, "" on the last one.
func (c *Client) RepublishPlaced(ctx context.Context, from, to time.Time, limit int, cursor string) (orders []Republished, next string, err error) {
	query := url.Values{"placed_from": {from.UTC().Format(time.RFC3339Nano)}, "limit": {strconv.Itoa(limit)}}
	if !to.IsZero() {
		query.Set("placed_to", to.UTC().Format(time.RFC3339Nano))
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	var page struct {
		Items      []Republished `json:"items"`
		NextCursor string        `json:"next_cursor"`
	}
	_, err = c.do(ctx, call{service: Orders, admin: true, method: http.MethodPost, path: "/orders/republish", query: query, same: true}, &page)
	return page.Items, page.NextCursor, err
}
