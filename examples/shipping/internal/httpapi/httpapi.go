// Package httpapi shows shipments. It changes nothing.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"pasdetrois/examples/shipping/internal/app"
	"pasdetrois/examples/shipping/internal/domain"
	"pasdetrois/pkg/platform/auth"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/pkg/platform/pgdb"
)

// Shipments is what the API needs of the use cases. app.App implements it.
type Shipments interface {
	Shipment(ctx context.Context, orderID string) (domain.Shipment, error)
}

// Shipment is a shipment as clients see it.
type Shipment struct {
	OrderID   string    `json:"order_id"`
	UserID    string    `json:"user_id"`
	Status    string    `json:"status" enum:"packing,shipped,stopped,returning"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

type getInput struct {
	OrderID string `path:"order_id" doc:"The order's id"`
}

type getOutput struct{ Body Shipment }

// Register adds GET /shipments/{order_id} to the API.
func Register(api huma.API, shipments Shipments, log *slog.Logger) {
	failures := httpx.NewFailures(log, pgdb.IsUnavailable)
	httpx.Register(api, huma.Operation{OperationID: "get-shipment", Method: http.MethodGet, Path: "/shipments/{order_id}",
		Summary: "Show the shipment of an order", Tags: []string{"shipments"}, Security: auth.Needs(auth.Read),
		Errors: []int{http.StatusNotFound, http.StatusServiceUnavailable}},
		func(ctx context.Context, in *getInput) (*getOutput, error) {
			ctx, cancel := httpx.Bounded(ctx)
			defer cancel()
			found, err := domain.Shipment{}, app.ErrNotFound
			if httpx.Storable(in.OrderID) {
				found, err = shipments.Shipment(ctx, in.OrderID)
			}
			switch {
			case errors.Is(err, app.ErrNotFound):
				return nil, huma.Error404NotFound("there is no shipment of this order")
			case err != nil:
				return nil, failures.Answer(err, "the database does not answer")
			}
			return &getOutput{Body: Shipment{OrderID: found.OrderID, UserID: found.UserID, Status: string(found.Status),
				CreatedAt: found.CreatedAt.UTC(), UpdatedAt: found.UpdatedAt.UTC()}}, nil
		})
}
