// Package migrations brings Postgres to the newest version: one schema and one login role per service.
package migrations

import "context"

// Up migrates all three services in the database of adminURL (a superuser or a role that may create roles and schemas).
// Each service's role gets its own name as password unless Passwords says otherwise.
func Up(ctx context.Context, adminURL string) error { panic("skeleton") }
