package main

import (
	"context"
	"fmt"
	"net/http"

	"pasdetrois/bench/limits"
)

// serve makes this process a handler that is measured.
func serve(ctx context.Context, kind string, getenv func(string) string) error {
	address := getenv("HTTP_ADDR")
	if address == "" {
		return usageError{fmt.Errorf("-serve %s: HTTP_ADDR is empty", kind)}
	}
	if kind == "noop" {
		return limits.Serve(ctx, address, http.HandlerFunc(limits.NoOp))
	}
	h, err := limits.NewTransactions(ctx, getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer h.Close()
	return limits.Serve(ctx, address, h)
}
