package run_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/run"
	"pasdetrois/pkg/platform/testkit"
)

// asService makes the test's program be a service instead: signals and exit codes belong to a whole process.
const asService = "RUN_TEST_AS_SERVICE"

func TestMain(m *testing.M) {
	if os.Getenv(asService) != "" {
		os.Exit(run.Main(context.Background(), "shop", os.Args[1:], env.ToMap(os.Environ()), os.Stdout, os.Stderr, shop))
	}
	testkit.Main(m)
}

// config is what a service's Config looks like.
type config struct {
	AdminAddr   string        `env:"ADMIN_ADDR" envDefault:":9080"`
	DatabaseURL string        `env:"DATABASE_URL" desc:"where the shop keeps its wares"`
	Brokers     []string      `env:"KAFKA_BROKERS" envDefault:"localhost:9092"`
	Patience    time.Duration `env:"PATIENCE" envDefault:"1m"`
	Conns       int           `env:"CONNS"`
	LogLevel    string        `env:"LOG_LEVEL" envDefault:"info"`
	LogFormat   string        `env:"LOG_FORMAT" envDefault:"json"`
	Long        string        `env:"A_NAME_LONGER_THAN_ALL_OTHERS"`
	Hook        func()        `env:"-"`
}

func (c *config) SetDefaults() { c.Conns = 4 }

func (c config) Validate() error {
	var errs []error
	if c.DatabaseURL == "" {
		errs = append(errs, errors.New("DATABASE_URL is empty"))
	}
	if c.Patience <= 0 {
		errs = append(errs, errors.New("PATIENCE must be more than 0s"))
	}
	return errors.Join(errs...)
}

func (c config) Admin() string { return c.AdminAddr }

// AdminTLS: the database stands for a certificate here, so that the tests of the help text keep their variables.
func (c config) AdminTLS() bool { return c.DatabaseURL == "tls" }

func (c config) Logging() (level, format string) { return c.LogLevel, c.LogFormat }

// shop is the service that the test's program is: two stages, and a drain that hangs when PATIENCE is an hour.
func shop(ctx context.Context, cfg config, log *slog.Logger) error {
	component := func(name string, hangs bool) run.Component {
		return run.Component{Name: name, Run: func(ctx context.Context) error {
			<-ctx.Done()
			log.Info(name + " stopped")
			if hangs {
				select {}
			}
			return nil
		}}
	}
	log.Info("running")
	return run.Stages(ctx, log, []run.Component{component("consumer", cfg.Patience == time.Hour)},
		[]run.Component{component("relay", false)})
}

// outcome is what a call of Main left behind.
type outcome struct {
	code           int
	stdout, stderr string
	got            *config // what start was given, nil when it was not called
}

// call runs Main with a start that returns result at once.
func call(t *testing.T, result error, environ map[string]string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	var o outcome
	o.code = run.Main(t.Context(), "shop", args, environ, &stdout, &stderr,
		func(_ context.Context, cfg config, _ *slog.Logger) error {
			o.got = &cfg
			return result
		})
	o.stdout, o.stderr = stdout.String(), stderr.String()
	return o
}

// file returns the path of a file with the content.
func file(t *testing.T, content string) string {
	t.Helper()
	path := fmt.Sprintf("%s/secret", t.TempDir())
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func lines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }
