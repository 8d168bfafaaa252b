package orders

import (
	"log/slog"
	"net/http"

	"pasdetrois/pkg/platform/bus"
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

func adminAPI(orders *app.App, messages *bus.Consumer, letters *deadletter.Store, replays *deadletter.Worker, log *slog.Logger) http.Handler {
	api, handler := httpx.NewAPI("Pas de Trois: orders, admin", version, "The catalogue, what orders consumes, and messages that it could not handle.")
	httpapi.New(orders, log).RegisterAdmin(api)
	bus.Register(api, messages)
	deadletter.Register(api, letters, replays)
	return handler
}
