package service_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/bus"
	"pasdetrois/pkg/platform/service"
	"pasdetrois/pkg/platform/service/servicetest"
	"pasdetrois/pkg/platform/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// roleSQL: roles belong to the server, so another test may have made it.
const roleSQL = `
DO $$ BEGIN CREATE ROLE parcels LOGIN PASSWORD 'parcels';
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
CREATE SCHEMA parcels AUTHORIZATION parcels;
SET ROLE parcels;
SET search_path = parcels;`

const parcelsSQL = `
CREATE TABLE parcels (order_id text PRIMARY KEY, packed_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE goose_db_version (version_id bigint, is_applied boolean);
INSERT INTO goose_db_version VALUES (1, true);`

// migrate does what the migrations of a service do.
func migrate(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, roleSQL+service.SchemaSQL+parcelsSQL)
	return errors.Join(err, conn.Close(ctx))
}

// config and run are a whole service: it packs a parcel for each order that is paid, and says so.
type config struct {
	service.Base
	Carrier string `env:"CARRIER" envDefault:"post" desc:"who carries the parcels"`
}

func (c *config) SetDefaults() { c.HTTPAddr, c.AdminAddr = "127.0.0.1:8086", "127.0.0.1:9086" }

func (c config) Validate() error {
	return errors.Join(c.Base.Validate(), service.Rule(c.Carrier != "", "CARRIER is empty"))
}

const packSQL = `INSERT INTO parcels (order_id) VALUES ($1) ON CONFLICT DO NOTHING`

// parcels runs the service; more adds to its parts.
func parcels(ctx context.Context, cfg config, w *servicetest.World, more service.Parts) error {
	shell, err := service.Open(cfg.Base, service.Identity{Name: "parcels", Version: "1.0.0", Publishes: true}, w.Log)
	if err != nil {
		return err
	}
	defer shell.Close()
	more.Handlers = bus.Table{bus.On(func(ctx context.Context, batch []bus.In[messages.PaymentCaptured]) []bus.Result {
		results := make([]bus.Result, len(batch))
		for i, in := range batch {
			id := in.Event.OrderID
			_, results[i].Err = shell.DB.Exec(ctx, packSQL, id)
			results[i].Publish = []messages.Message{{ID: messages.ID(id, messages.EventNotificationRequested, "packed"), Time: time.Now(),
				Event: messages.NotificationRequested{OrderID: id, UserID: in.Event.UserID, Message: "Packed for the " + cfg.Carrier, Channel: messages.ChannelEmail}}}
		}
		return results
	})}
	more.Public = service.API{About: "Where parcels are.", Register: func(api huma.API) {
		huma.Get(api, "/parcels/{order_id}", func(ctx context.Context, in *struct {
			OrderID string `path:"order_id"`
		}) (*struct{ Body time.Time }, error) {
			out := &struct{ Body time.Time }{}
			if err := shell.DB.QueryRow(ctx, `SELECT packed_at FROM parcels WHERE order_id = $1`, in.OrderID).Scan(&out.Body); err != nil {
				return nil, huma.Error404NotFound("no such parcel")
			}
			return out, nil
		})
	}}
	more.Admin = service.API{About: "Parcels, admin."}
	return shell.Run(ctx, more)
}

func setup(t *testing.T) (*servicetest.World, config) {
	t.Helper()
	w := servicetest.Setup(t, "parcels", migrate)
	w.Observe(servicetest.Sees[messages.NotificationRequested])
	return w, servicetest.Config[config](w)
}

func start(w *servicetest.World, cfg config, more service.Parts) *servicetest.Service {
	return w.Start(&cfg.Base, func(ctx context.Context) error { return parcels(ctx, cfg, w, more) })
}

func captured(order string) messages.Event {
	return messages.PaymentCaptured{OrderID: order, UserID: "u", Amount: messages.Money{Minor: 100, Currency: "USD"}, PaymentID: "p"}
}

func status(t *testing.T, s *servicetest.Service, url string) int {
	t.Helper()
	got, body := s.Get(url)
	require.NotEqual(t, http.StatusInternalServerError, got, body)
	return got
}
