// Package provider opens the payment provider that a URL names.
//
// A provider is a package of its own below this one, which implements app.Provider. To add one: write its package, add
// its URL's scheme to Open, and give the URL with the provider's key as a secret (PROVIDER_URL_FILE). Nothing else
// depends on the provider: payments stores each decision itself, and measures and traces each call here. BooksOf returns nil
// for it, because an outside provider keeps its books when the database is put back.
//
// The simulated provider keeps its books in the table provider_ledger, on connections of its own, as an outside system
// would. Payments reads them through the provider only. Auditing tools read them through the view that the migrations
// define for auditors.
package provider

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"pasdetrois/pkg/platform/erasure"
	"pasdetrois/pkg/platform/pgdb"
	"pasdetrois/pkg/platform/retention"
	"pasdetrois/services/payments/internal/app"
	"pasdetrois/services/payments/internal/domain"
	"pasdetrois/services/payments/internal/provider/simulated"
)

// Config says which provider to open.
type Config struct {
	// URL names the provider by its scheme. "" and "simulated:" are the simulated one.
	URL string
	// DatabaseURL is where the simulated provider keeps its books.
	DatabaseURL string
	// Latency and ErrorRate are of the simulated provider: see simulated.Config.
	Latency   time.Duration
	ErrorRate float64
}

// Provider is an open provider. Close it when nothing calls it any more.
type Provider interface {
	app.Provider
	Close()
}

// Books are the books of a provider that keeps them in the service's database.
type Books interface {
	// Restate compares the books with payments that are certain, and returns the entries that differ. With write it makes
	// them so. It takes and gives back no money.
	Restate(ctx context.Context, q pgdb.Querier, payments []domain.Payment, write bool) ([]Restated, error)
	// Erase replaces a user by a pseudonym, and returns in how many entries.
	Erase(ctx context.Context, q pgdb.Querier, user, pseudonym string) (int64, error)
	// Export calls put with each entry about a user.
	Export(ctx context.Context, q pgdb.Querier, user string, put func(erasure.Row) error) error
}

// Restated is an entry of the books that differs.
type Restated = simulated.Restated

// BooksOf returns the books of the provider that a URL names, nil when it keeps them itself, as each outside provider does.
func BooksOf(url string) (Books, error) {
	if err := CheckURL(url); err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	return simulated.Books{}, nil
}

// Ending returns the entries of the simulated provider's books as rows that end. An entry goes after its payment. An outside
// provider keeps its books itself.
func Ending(keep time.Duration) []retention.Kind { return []retention.Kind{simulated.Ending(keep)} }

// CheckURL returns an error when Open cannot open a provider's URL. Errors never hold the URL, which may
// hold a key.
func CheckURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("it is not a URL; simulated: is one")
	}
	if u.Scheme != "" && u.Scheme != "simulated" || u.Scheme == "" && raw != "" {
		return fmt.Errorf("no provider has the scheme %q; simulated: names the one that moves no money", u.Scheme)
	}
	return nil
}

// Open opens the provider. It does not connect: a provider that is away is asked again with each message.
func Open(cfg Config) (Provider, error) {
	if err := CheckURL(cfg.URL); err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	return simulated.Open(cfg.DatabaseURL, simulated.Config{Latency: cfg.Latency, ErrorRate: cfg.ErrorRate})
}
