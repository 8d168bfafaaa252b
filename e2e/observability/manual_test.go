//go:build observability

package observability_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func manual(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	return string(content)
}

// explained fails for a metric of ours that the manual does not name. It names those of the pool by their ends.
func explained(t *testing.T, there served) {
	t.Helper()
	text := manual(t)
	for name := range there {
		if !strings.HasPrefix(name, "pasdetrois_") {
			continue
		}
		for _, part := range []string{"_bucket", "_sum", "_count"} { // of a histogram
			name = strings.TrimSuffix(name, part)
		}
		end := strings.TrimPrefix(name, "pasdetrois_postgres_pool")
		require.True(t, strings.Contains(text, "`"+name+"`") || strings.Contains(text, "`"+end+"`"), "docs/operations.md does not explain %s", name)
	}
}

// headings returns the sections about alerts of the operations manual.
func headings(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, line := range strings.Split(manual(t), "\n") {
		if name, ok := strings.CutPrefix(line, "### "); ok {
			found[name] = true
		}
	}
	return found
}
