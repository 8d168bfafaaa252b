package notifications_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestImportsPointOneWay holds the service to domain <- app <- {store, email, consumer, httpapi} <- the root package.
func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	const internal = "pasdetrois/services/notifications/internal/"
	allowed := map[string][]string{
		"domain": {}, "app": {"domain"}, "store": {"domain", "app"}, "email": {"domain"}, "consumer": {"app"},
		"httpapi": {"domain", "app"},
	}
	for room, may := range allowed {
		files, err := filepath.Glob(filepath.Join("internal", room, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files, room)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, path := range importsOf(t, file) {
				if neighbour, ok := strings.CutPrefix(path, internal); ok {
					require.True(t, slices.Contains(may, neighbour), "%s imports %s", file, path)
				}
				require.NotContains(t, path, "watermill", file)
				require.NotContains(t, path, "sarama", file)
				if room == "domain" {
					outside := strings.Contains(strings.SplitN(path, "/", 2)[0], ".") || strings.HasPrefix(path, "pasdetrois/")
					require.True(t, !outside || path == "pasdetrois/pkg/messages", "%s imports %s", file, path)
				}
				if room != "store" {
					require.NotContains(t, path, "jackc/pgx", "%s: SQL belongs to the store", file)
				}
			}
		}
	}
}

func importsOf(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	require.NoError(t, err)
	paths := make([]string, len(parsed.Imports))
	for i, spec := range parsed.Imports {
		paths[i], err = strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
	}
	return paths
}
