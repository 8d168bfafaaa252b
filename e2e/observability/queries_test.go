//go:build observability

package observability_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// use is one expression that somebody depends on.
type use struct{ where, expr, legend string }

// dashboard returns every expression of every panel, and of the annotations.
func dashboard(t *testing.T) []use {
	t.Helper()
	content, err := os.ReadFile("../../deploy/compose/grafana/dashboards/pas-de-trois.json")
	require.NoError(t, err)
	var board struct {
		Panels []struct {
			Title, Type string
			Targets     []struct{ Expr, LegendFormat string }
		}
		Annotations struct{ List []struct{ Name, Expr string } }
	}
	require.NoError(t, json.Unmarshal(content, &board))
	var uses []use
	for _, panel := range board.Panels {
		require.True(t, panel.Type == "row" || len(panel.Targets) > 0, "panel %q shows nothing", panel.Title)
		for _, target := range panel.Targets {
			uses = append(uses, use{"panel " + panel.Title, target.Expr, target.LegendFormat})
		}
	}
	require.Greater(t, len(uses), 25)
	return uses
}

// alert is one rule.
type alert struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func alerts(t *testing.T) []alert {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(configFolder, "alerts.yml"))
	require.NoError(t, err)
	var file struct{ Groups []struct{ Rules []alert } }
	require.NoError(t, yaml.Unmarshal(content, &file))
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	require.GreaterOrEqual(t, len(all), 6)
	return all
}

// node is a part of an expression, as Prometheus' own parser tells it.
type node struct {
	Type     string
	Name     string
	Matchers []struct{ Name, Value, Type string }
	Grouping []string
	Matching *struct{ Labels, Include []string }
	Expr     *node
	LHS, RHS *node
	Args     []*node
	Param    *node
}

func (n *node) parts() []*node {
	return append([]*node{n.Expr, n.LHS, n.RHS, n.Param}, n.Args...)
}

// selectors returns every selector below n.
func (n *node) selectors() []*node {
	if n == nil {
		return nil
	}
	if n.Type == "vectorSelector" || n.Type == "matrixSelector" {
		return []*node{n}
	}
	var all []*node
	for _, part := range n.parts() {
		all = append(all, part.selectors()...)
	}
	return all
}

// problems returns what an expression names that is not there.
func (p *prometheus) problems(expr string, there served) ([]string, error) {
	var tree node
	if err := p.get("parse_query", url.Values{"query": {strings.ReplaceAll(expr, "$__rate_interval", "30s")}}, &tree); err != nil {
		return nil, err
	}
	if len(tree.selectors()) == 0 {
		return []string{"it selects nothing"}, nil
	}
	return tree.missing(there), nil
}

func (n *node) missing(there served) []string {
	if n == nil {
		return nil
	}
	var wrong []string
	if n.Type == "vectorSelector" || n.Type == "matrixSelector" {
		return there.missing(n)
	}
	labels := n.Grouping
	if n.Matching != nil {
		labels = append(slices.Clone(labels), append(n.Matching.Labels, n.Matching.Include...)...)
	}
	for _, label := range labels {
		if !slices.ContainsFunc(n.selectors(), func(s *node) bool { return there.hasLabel(s.Name, label) }) {
			wrong = append(wrong, "no metric below has the label "+label)
		}
	}
	for _, part := range n.parts() {
		wrong = append(wrong, part.missing(there)...)
	}
	return wrong
}

// missing says what of a selector no service serves: its metric, its labels, or a value that a label is compared with.
func (there served) missing(n *node) []string {
	series, ok := there[n.Name]
	if !ok {
		return []string{"no service serves " + n.Name}
	}
	var wrong []string
	for _, m := range n.Matchers {
		if m.Name == "__name__" {
			continue
		}
		if !there.hasLabel(n.Name, m.Name) {
			wrong = append(wrong, fmt.Sprintf("%s has no label %s", n.Name, m.Name))
			continue
		}
		values := []string{m.Value}
		if m.Type == "=~" {
			values = strings.Split(m.Value, "|")
		}
		for _, value := range values {
			if value == "5xx" || m.Type == "!=" || m.Type == "!~" { // a healthy stack has none
				continue
			}
			if !slices.ContainsFunc(series, func(s map[string]string) bool { return s[m.Name] == value }) {
				wrong = append(wrong, fmt.Sprintf("%s is never served with %s=%q", n.Name, m.Name, value))
			}
		}
	}
	return wrong
}
