package run_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEveryProblemOfTheConfigurationIsPrintedAtOnce(t *testing.T) {
	t.Parallel()
	missing := t.TempDir() + "/nothing"
	o := call(t, nil, map[string]string{"CONNS": "many", "PATIENCE": "0s", "LOG_FORMAT_FILE": missing})
	require.Equal(t, 2, o.code)
	require.Nil(t, o.got, "nothing is started")
	require.Empty(t, o.stdout)
	require.Equal(t, []string{
		"shop: the configuration is wrong, nothing was started:",
		`  - CONNS: strconv.ParseInt: parsing "many": invalid syntax`,
		"  - LOG_FORMAT_FILE: open " + missing + ": no such file or directory",
		"  - DATABASE_URL is empty",
		"  - PATIENCE must be more than 0s",
	}, lines(o.stderr))
}

func TestAValueThatCannotBeReadIsNotCalledWrongTwice(t *testing.T) {
	t.Parallel()
	o := call(t, nil, map[string]string{"DATABASE_URL": "x", "PATIENCE": "soon"})
	require.Equal(t, 2, o.code)
	require.Equal(t, []string{
		"shop: the configuration is wrong, nothing was started:",
		`  - PATIENCE: unable to parse duration: time: invalid duration "soon"`,
	}, lines(o.stderr))
}

func TestLogSettingsAreCheckedBeforeAnythingStarts(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{"LOG_LEVEL": "loud", "LOG_FORMAT": "xml"} {
		o := call(t, nil, map[string]string{"DATABASE_URL": "x", name: value})
		require.Equal(t, 2, o.code)
		require.Nil(t, o.got)
		require.Contains(t, o.stderr, value)
	}
}

func TestTheServiceGetsItsConfiguration(t *testing.T) {
	t.Parallel()
	o := call(t, nil, map[string]string{"DATABASE_URL": "x", "KAFKA_BROKERS": "a:1,b:2", "PATIENCE": "3s", "CONNS": "", "UNKNOWN": "y"})
	require.Equal(t, 0, o.code, o.stderr)
	require.Equal(t, &config{AdminAddr: ":9080", DatabaseURL: "x", Brokers: []string{"a:1", "b:2"}, Patience: 3 * time.Second,
		Conns: 4, LogLevel: "info", LogFormat: "json"}, o.got)
}

func TestAValueMayBeInAFile(t *testing.T) {
	t.Parallel()
	secret := file(t, "  postgres://shop:secret@db/shop\n")
	o := call(t, nil, map[string]string{"DATABASE_URL_FILE": secret, "CONNS_FILE": file(t, "7\n"), "CONNS": ""})
	require.Equal(t, 0, o.code, o.stderr)
	require.Equal(t, "postgres://shop:secret@db/shop", o.got.DatabaseURL)
	require.Equal(t, 7, o.got.Conns, "an empty variable is no value")

	o = call(t, nil, map[string]string{"DATABASE_URL_FILE": secret, "DATABASE_URL": "given"})
	require.Equal(t, "given", o.got.DatabaseURL, "the variable itself comes first")
}

func TestAFailureEndsWithExitCodeOneAndSaysWhy(t *testing.T) {
	t.Parallel()
	o := call(t, errors.New("no disk"), map[string]string{"DATABASE_URL": "x"})
	require.Equal(t, 1, o.code)
	require.Contains(t, lines(o.stdout)[1], `"level":"ERROR","msg":"stopped","service":"shop","err":"no disk"`)
}

func TestLogLinesHaveTheKeysThatAreAgreedOn(t *testing.T) {
	t.Parallel()
	o := call(t, errors.New("no disk"), map[string]string{"DATABASE_URL": "postgres://shop:secret@db/shop", "LOG_LEVEL": "debug"})
	for _, line := range lines(o.stdout) {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		require.Equal(t, "shop", entry["service"])
		for _, key := range slices.Collect(maps.Keys(entry)) {
			require.Contains(t, []string{"time", "level", "msg", "service", "version", "err"}, key)
		}
	}
	require.NotContains(t, o.stdout, "secret")

	o = call(t, nil, map[string]string{"DATABASE_URL": "x", "LOG_FORMAT": "text"})
	require.Contains(t, o.stdout, "level=INFO msg=starting service=shop")
	o = call(t, nil, map[string]string{"DATABASE_URL": "x", "LOG_LEVEL": "error"})
	require.Empty(t, o.stdout)
}

func TestSubcommands(t *testing.T) {
	t.Parallel()
	o := call(t, nil, nil, "version")
	require.Equal(t, 0, o.code)
	require.Regexp(t, `^shop \S`, o.stdout)

	for _, help := range []string{"help", "-h", "--help"} {
		o = call(t, nil, nil, help)
		require.Equal(t, 0, o.code)
		for _, name := range []string{"healthcheck", "DATABASE_URL", "NAME_FILE", `default "localhost:9092"`} {
			require.Contains(t, o.stdout, name)
		}
		require.NotContains(t, o.stdout, "Hook")
		require.Contains(t, o.stdout, "  DATABASE_URL\n      where the shop keeps its wares\n")
		require.Contains(t, o.stdout, "  PATIENCE (default \"1m\")\n")
		require.Contains(t, o.stdout, "  CONNS (default \"4\")\n", "a default may come from SetDefaults")
	}

	o = call(t, nil, map[string]string{"DATABASE_URL": "x"}, "start")
	require.Equal(t, 2, o.code)
	require.Nil(t, o.got)
	require.Contains(t, o.stderr, `unknown subcommand "start"`)
	require.Contains(t, o.stderr, "usage: shop")
}
