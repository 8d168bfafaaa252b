package embedded

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// source lists the places of the server's binaries, in the order of the search: path, places, kept, download.
type source struct {
	path       string   // folders to search first, as in PATH
	places     []string // patterns of folders to search then
	kept       string   // folder where a download is kept
	repository string   // Maven repository to download from; "" = the library's own choice
	version    embeddedpostgres.PostgresVersion
	log        *slog.Logger
}

// versions are the supported versions for PAS_POSTGRES_VERSION, by their major number.
var versions = map[string]embeddedpostgres.PostgresVersion{
	"15": embeddedpostgres.V15, "16": embeddedpostgres.V16, "17": embeddedpostgres.V17, "18": embeddedpostgres.V18,
}

// usualVersion is downloaded when nothing is installed.
const usualVersion = "17"

// usualSource prefers installed servers. When PAS_POSTGRES_VERSION names a version, that version is downloaded, and installed
// servers are ignored: tests run on each version that is supported.
func usualSource(log *slog.Logger) (source, error) {
	const setting = "PAS_POSTGRES_VERSION"
	asked := os.Getenv(setting)
	major := cmp.Or(asked, usualVersion)
	version, ok := versions[major]
	if !ok {
		return source{}, fmt.Errorf("%s: %q is not one of %s", setting, major, strings.Join(slices.Sorted(maps.Keys(versions)), ", "))
	}
	kept, err := keptFolder(major)
	if err != nil {
		return source{}, err
	}
	if asked != "" {
		return source{kept: kept, repository: os.Getenv("PAS_POSTGRES_REPOSITORY"), version: version, log: log}, nil
	}
	return source{
		version: version,
		path:    os.Getenv("PATH"),
		places: []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin",
			"/usr/local/opt/postgresql*/bin"},
		kept:       kept,
		repository: os.Getenv("PAS_POSTGRES_REPOSITORY"),
		log:        log,
	}, nil
}

// binaries returns the folder that holds postgres and initdb. Among installed versions in one place it takes the newest. It
// downloads only when no place has a complete installation.
func (s source) binaries(ctx context.Context) (string, error) {
	for _, dir := range filepath.SplitList(s.path) {
		if !filepath.IsAbs(dir) { // the working folder is no installation
			continue
		}
		// A link in PATH leads to the real folder: the server finds its libraries relative to that.
		if path, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")); err == nil && complete(filepath.Dir(path)) {
			return filepath.Dir(path), nil
		}
	}
	for _, pattern := range s.places {
		found, _ := filepath.Glob(pattern)
		slices.SortFunc(found, func(a, b string) int { return -cmp.Compare(version(a), version(b)) })
		for _, dir := range found {
			if complete(dir) {
				return dir, nil
			}
		}
	}
	return s.download(ctx)
}

var number = regexp.MustCompile(`\d+(\.\d+)?`)

// version is the last number in a folder's name. As numbers, 9.6 comes before 17.
func version(dir string) float64 {
	found := number.FindAllString(dir, -1)
	if len(found) == 0 {
		return 0
	}
	v, _ := strconv.ParseFloat(found[len(found)-1], 64)
	return v
}

// complete reports whether a folder has both programs. Some packages install clients alone, without a server.
func complete(dir string) bool {
	for _, tool := range []string{"postgres", "initdb"} {
		if info, err := os.Stat(filepath.Join(dir, tool)); err != nil || info.IsDir() {
			return false
		}
	}
	return true
}
