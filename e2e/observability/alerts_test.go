//go:build observability

package observability_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// ruleTest is one test of alerts_test.yml.
type ruleTest struct {
	Name   string
	Series []struct{ Series string } `yaml:"input_series"`
	Alerts []struct {
		Name     string      `yaml:"alertname"`
		Expected []yaml.Node `yaml:"exp_alerts"`
	} `yaml:"alert_rule_test"`
	Exprs []struct {
		Expr    string
		Samples []yaml.Node `yaml:"exp_samples"`
	} `yaml:"promql_expr_test"`
}

// about returns whether the test names the alert, and whether it expects that the alert fires.
func (r ruleTest) about(alert string) (named, fires bool) {
	for _, a := range r.Alerts {
		if a.Name == alert {
			named, fires = true, fires || len(a.Expected) > 0
		}
	}
	return named, fires
}

// has reports whether the test has series of a metric.
func (r ruleTest) has(metric string) bool {
	for _, s := range r.Series {
		if name, _, _ := strings.Cut(s.Series, "{"); name == metric {
			return true
		}
	}
	return false
}

const nothingFires = `count_over_time(ALERTS{alertstate="firing"}[90m])`

var metricIn = regexp.MustCompile(`\b(pasdetrois_\w+|process_\w+|go_\w+|up)\b`)

// Each alert has a test in which it fires. Both tests of healthy services have series for it, old counters among them, and
// nothing fires there. A wrong expression turns its tests red, be it one that never holds or one that always does.
func TestEachAlertIsTested(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(configFolder, "alerts_test.yml"))
	require.NoError(t, err)
	var file struct{ Tests []ruleTest }
	require.NoError(t, yaml.Unmarshal(content, &file))
	healthy := map[string]ruleTest{}
	for _, test := range file.Tests {
		if strings.HasPrefix(test.Name, "healthy, ") {
			healthy[test.Name] = test
		}
	}
	for _, name := range []string{"healthy, just started", "healthy, after a replay"} {
		test, ok := healthy[name]
		require.True(t, ok, "alerts_test.yml has no test %q", name)
		require.Equal(t, nothingFires, test.Exprs[0].Expr, name)
		require.Empty(t, test.Exprs[0].Samples, name)
		for _, a := range alerts(t) {
			for _, metric := range metricIn.FindAllString(a.Expr, -1) {
				require.True(t, test.has(metric), "%s needs series of %s in the test %q", a.Alert, metric, name)
			}
		}
		require.False(t, promtool(t, name, func(alert) string { return "vector(1)" }), "%s does not see what fires", name)
	}
	for _, a := range alerts(t) {
		var names []string
		fires := false
		for _, test := range file.Tests {
			named, expected := test.about(a.Alert)
			if named {
				names = append(names, regexp.QuoteMeta(test.Name))
			}
			fires = fires || expected
		}
		require.True(t, fires, "alerts_test.yml has no test in which %s fires", a.Alert)
		only := strings.Join(names, "|")
		with := func(expr string) bool {
			return promtool(t, only, func(other alert) string {
				if other.Alert == a.Alert {
					return expr
				}
				return other.Expr
			})
		}
		require.True(t, with(a.Expr), "the tests of %s are green", a.Alert)
		require.False(t, with("vector(0) > 1"), "the tests of %s do not see that it never fires", a.Alert)
		require.False(t, with("vector(1)"), "the tests of %s do not see that it always fires", a.Alert)
	}
}

// promtool runs the tests of these names on the alerts with other expressions, and reports whether they are green.
func promtool(t *testing.T, names string, expr func(alert) string) bool {
	t.Helper()
	tool := os.Getenv("PROMTOOL")
	require.NotEmpty(t, tool, "PROMTOOL names no promtool: run make test SUITE=alerts")
	content, err := os.ReadFile(filepath.Join(configFolder, "alerts.yml"))
	require.NoError(t, err)
	var file map[string][]struct {
		Name  string
		Rules []map[string]any
	}
	require.NoError(t, yaml.Unmarshal(content, &file))
	for _, group := range file["groups"] {
		for _, rule := range group.Rules {
			rule["expr"] = expr(alert{Alert: rule["alert"].(string), Expr: rule["expr"].(string)})
		}
	}
	content, err = yaml.Marshal(file)
	require.NoError(t, err)
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "alerts.yml"), content, 0o600))
	tests, err := os.ReadFile(filepath.Join(configFolder, "alerts_test.yml"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "alerts_test.yml"), tests, 0o600))
	said, err := exec.CommandContext(t.Context(), tool, "test", "rules", "--run", "^("+names+")$", filepath.Join(folder, "alerts_test.yml")).CombinedOutput()
	if err != nil {
		require.Contains(t, string(said), "FAILED", "promtool failed for another reason: %s", said)
	}
	return err == nil
}
