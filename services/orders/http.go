package orders

import (
	"net/http"

	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/services/orders/internal/app"
)

func publicAPI(_ *app.App) http.Handler {
	_, handler := httpx.NewAPI("Pas de Trois: orders", version, "Place orders and follow them.")
	return handler
}

func adminAPI(_ *app.App, letters *deadletter.Store, replays *deadletter.Worker) http.Handler {
	api, handler := httpx.NewAPI("Pas de Trois: orders, admin", version, "The catalogue, and messages that orders could not handle.")
	deadletter.Register(api, letters, replays)
	return handler
}
