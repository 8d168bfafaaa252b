package orders_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestImportsPointOneWay holds the service to domain <- app <- {store, consumer, httpapi} <- the root package.
func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	const internal = "pasdetrois/services/orders/internal/"
	allowed := map[string][]string{
		"domain": {}, "app": {"domain"}, "store": {"domain", "app"}, "consumer": {"app"}, "httpapi": {"domain", "app"},
	}
	rooms, err := os.ReadDir("internal")
	require.NoError(t, err)
	for _, room := range rooms {
		require.Contains(t, allowed, room.Name(), "a room that nobody decided on")
		files, err := filepath.Glob(filepath.Join("internal", room.Name(), "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, path := range importsOf(t, file) {
				if neighbour, ok := strings.CutPrefix(path, internal); ok {
					require.True(t, slices.Contains(allowed[room.Name()], neighbour), "%s imports %s", file, path)
				}
				require.NotContains(t, path, "watermill", file)
				require.NotContains(t, path, "sarama", file)
				if room.Name() == "domain" {
					outside := strings.Contains(strings.SplitN(path, "/", 2)[0], ".") || strings.HasPrefix(path, "pasdetrois/")
					require.True(t, !outside || path == "pasdetrois/pkg/messages", "%s imports %s", file, path)
				}
				if room.Name() != "store" {
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
