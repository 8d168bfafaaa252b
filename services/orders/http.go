package orders

import (
	"log/slog"
	"net/http"

	"pasdetrois/pkg/platform/deadletter"
	"pasdetrois/pkg/platform/httpx"
	"pasdetrois/services/orders/internal/app"
	"pasdetrois/services/orders/internal/httpapi"
)

func publicAPI(orders *app.App, log *slog.Logger) http.Handler {
	api, handler := httpx.NewAPI("Pas de Trois: orders", version, "Place orders and follow them.")
	httpapi.New(orders, log).Register(api)
	return handler
}

func adminAPI(orders *app.App, letters *deadletter.Store, replays *deadletter.Worker, log *slog.Logger) http.Handler {
	api, handler := httpx.NewAPI("Pas de Trois: orders, admin", version, "The catalogue, and messages that orders could not handle.")
	httpapi.New(orders, log).RegisterAdmin(api)
	deadletter.Register(api, letters, replays)
	return handler
}
