package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"pasdetrois/pkg/messages"
)

// placeRequest is the body of POST /orders.
type placeRequest struct {
	UserID string `json:"user_id"`
	Items  []struct {
		SKU      string `json:"sku"`
		Quantity int    `json:"quantity"`
	} `json:"items"`
}

// maxBody bounds a request's body, in bytes.
const maxBody = 64 << 10

// servePlace answers 202 after the commit of the order and its message. 400 and 422 mean that the same request
// fails again. 503 means that it may be sent again.
func (o orders) servePlace(w http.ResponseWriter, r *http.Request) {
	var request placeRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&request); err != nil {
		http.Error(w, "the body is not an order: "+err.Error(), http.StatusBadRequest)
		return
	}
	items := make([]messages.Item, len(request.Items))
	for i, item := range request.Items {
		items[i] = messages.Item{SKU: item.SKU, Quantity: item.Quantity}
	}
	// The contract's own validation applies, with a placeholder for the id that is not known yet.
	asked := messages.OrderPlaced{OrderID: "new", UserID: request.UserID, Total: messages.Money{Currency: "USD"}, Items: items}
	if err := asked.Validate(); err != nil || len(items) == 0 {
		http.Error(w, fmt.Sprintf("an order has a user_id and items with sku and quantity: %v", err), http.StatusUnprocessableEntity)
		return
	}
	id, err := o.place(r.Context(), request.UserID, items)
	switch {
	case errors.Is(err, errUnknownSKU):
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	case err != nil:
		o.log.Error("order not placed", err, nil)
		http.Error(w, "try again", http.StatusServiceUnavailable)
	default:
		writeJSON(w, http.StatusAccepted, map[string]string{"order_id": id})
	}
}

// serveSent answers GET /emails, by which the benchmark counts finished orders.
func (m *mailer) serveSent(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, m.sent())
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
