package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// AuditEntry is an entry of a service's audit log: who changed what.
type AuditEntry struct {
	ID        int64           `json:"id"`
	At        time.Time       `json:"at"`
	Actor     string          `json:"actor"`
	Operation string          `json:"operation"`
	Subject   string          `json:"subject"`
	Details   json.RawMessage `json:"details"`
	Address   string          `json:"address,omitempty"`
}

// AuditLog lists the audit log of a service, newest first, up to limit (0 = all). subject selects the entries about one id; ""
// means all.
func (c *Client) AuditLog(ctx context.Context, service, subject string, limit int) ([]AuditEntry, error) {
	query := url.Values{"limit": {"500"}}
	if subject != "" {
		query.Set("subject", subject)
	}
	return list[AuditEntry](ctx, c, call{service: service, admin: true, method: http.MethodGet, path: "/audit-log", query: query}, limit)
}
