// Package domain has the rules of shipments.
//
//	                 order_confirmed
//	(no shipment) ---------------------> packing --- due ---> shipped
//	      |                                 |                    |
//	      | order_cancelled                 | order_cancelled    | order_cancelled
//	      +------------> stopped <----------+                    +---> returning
//
// A shipment that was stopped before its order was confirmed keeps a late order_confirmed from shipping anything.
package domain

import "time"

// Status is where a shipment stands.
type Status string

// The statuses. The constraint shipment_status has the same.
const (
	Packing   Status = "packing"
	Shipped   Status = "shipped"
	Stopped   Status = "stopped"   // the order was cancelled before the parcel left
	Returning Status = "returning" // the order was cancelled after the parcel left
)

// Shipment is the parcel of one order.
type Shipment struct {
	OrderID, UserID      string
	Status               Status
	CreatedAt, UpdatedAt time.Time
}

// Pack begins the shipment of an order.
func Pack(orderID, userID string, now time.Time) Shipment {
	return Shipment{OrderID: orderID, UserID: userID, Status: Packing, CreatedAt: now, UpdatedAt: now}
}

// Stop returns the status of a shipment whose order was cancelled. It is the same status when the shipment has ended already.
func (s Status) Stop() Status {
	switch s {
	case Packing:
		return Stopped
	case Shipped:
		return Returning
	}
	return s
}
