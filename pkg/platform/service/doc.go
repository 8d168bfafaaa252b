// Package service runs a service of the choreography: everything but its own rules.
//
// A service is a function Run that opens a Shell, makes its own parts from what the Shell has, and lets the Shell run them.
// This is a whole one. Its rules are in packages of its own; app.OnOrderConfirmed is a bus.Handler, store.New takes the pool,
// and httpapi.Register adds routes.
//
//	package parcels
//
//	// Config is what an operator may set.
//	type Config struct {
//		service.Base
//		Carrier string `env:"CARRIER" envDefault:"post" desc:"who carries the parcels"`
//	}
//
//	func (c *Config) SetDefaults() { c.HTTPAddr, c.AdminAddr = "127.0.0.1:8086", "127.0.0.1:9086" }
//
//	func (c Config) Validate() error {
//		return errors.Join(c.Base.Validate(), service.Rule(c.Carrier != "", "CARRIER is empty"))
//	}
//
//	// Run runs the service until ctx ends.
//	func Run(ctx context.Context, cfg Config, log *slog.Logger) error {
//		shell, err := service.Open(cfg.Base, service.Identity{Name: "parcels", Version: "1.0.0"}, log)
//		if err != nil {
//			return err
//		}
//		defer shell.Close()
//		parcels := app.New(store.New(shell.DB), cfg.Carrier, log)
//		return shell.Run(ctx, service.Parts{
//			Handlers: bus.Table{bus.On(parcels.OnOrderConfirmed)},
//			Public:   service.API{About: "Where parcels are.", Register: func(api huma.API) { httpapi.Register(api, parcels) }},
//		})
//	}
//
// Its main package is one line, `func main() { service.Main("parcels", parcels.Run) }`. The service's name is also the name of
// its schema. A migration makes the schema's tables: SchemaSQL has those that the Shell needs, and the rest are the service's own.
// Package servicetest has the words for its tests.
//
// # What holds
//
//   - A service starts in any order with Kafka and Postgres. Both listeners answer at once; /readyz says what is missing.
//   - Nothing is consumed, and no loop begins, before Postgres is there and the schema is migrated.
//   - Kafka is not needed to answer requests; /readyz?for=requests asks Postgres alone.
//   - When ctx ends, or when one component fails, the components stop in stages. Run returns the first failure.
//
// # Stages
//
// All components start together. Each stage stops after every component of the one before has returned:
//
//	1  drain, consumer, replays, loops, http   whatever accepts work or decides on it
//	2  effects                                 carry out the decisions (only when the service has some)
//	3  outbox, background, waits, presence,    publish the decisions; /readyz answers "draining" until the end
//	   admin
//
// So work that has begun is finished, its decisions leave the process, and an operator can watch. What does not finish within
// DRAIN_TIMEOUT is redelivered by Kafka, or stays in the outbox for the next start: nothing is lost, and repeating it changes
// nothing.
package service
