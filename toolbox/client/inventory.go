package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
)

// Stock is one product of the catalogue. Its pieces add up in every answer: Available + Reserved + Sold = Stocked.
type Stock struct {
	SKU       string      `json:"sku"`
	Name      string      `json:"name"`
	Price     json.Number `json:"price"`
	Currency  string      `json:"currency"`
	Available int64       `json:"available"`
	Reserved  int64       `json:"reserved"`
	Sold      int64       `json:"sold"`
	Stocked   int64       `json:"stocked"`
}

// Inventory returns the whole catalogue.
func (c *Client) Inventory(ctx context.Context) ([]Stock, error) {
	return list[Stock](ctx, c, call{service: Orders, method: http.MethodGet, path: "/inventory"}, 0)
}

// Stock returns one product.
func (c *Client) Stock(ctx context.Context, sku string) (Stock, error) {
	var stock Stock
	_, err := c.do(ctx, call{service: Orders, method: http.MethodGet, path: "/inventory/" + url.PathEscape(sku)}, &stock)
	return stock, err
}

// Product is the body of PUT /inventory/{sku}.
type Product struct {
	Name     string      `json:"name"`
	Price    json.Number `json:"price"`
	Currency string      `json:"currency,omitempty"`
}

// PutProduct creates a product without stock, or changes its name and price.
func (c *Client) PutProduct(ctx context.Context, sku string, p Product) (Stock, error) {
	var stock Stock
	_, err := c.do(ctx, call{service: Orders, admin: true, method: http.MethodPut, path: "/inventory/" + url.PathEscape(sku), body: p}, &stock)
	return stock, err
}

// Restock adds pieces to a product. A repeated call adds them again, so an unanswered one must not be retried blindly. The key
// covers the repetitions after a 503 of this one call.
func (c *Client) Restock(ctx context.Context, sku string, quantity int64) (Stock, error) {
	var stock Stock
	_, err := c.do(ctx, call{service: Orders, admin: true, method: http.MethodPost,
		path: "/inventory/" + url.PathEscape(sku) + "/restock", body: map[string]int64{"quantity": quantity},
		header: map[string]string{"Idempotency-Key": rand.Text()}}, &stock)
	return stock, err
}
