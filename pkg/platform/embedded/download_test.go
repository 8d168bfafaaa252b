package embedded_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/platform/embedded"
)

// repository serves something that stands in for a server's binaries, as Maven Central would. It counts the archives.
type repository struct {
	url      string
	archives atomic.Int32
	wrongSum bool
	asked    chan struct{} // closed when the first request came
	hold     chan struct{} // requests wait until it is closed
}

func serve(t *testing.T) *repository {
	t.Helper()
	binaries, err := os.ReadFile("testdata/postgres.txz")
	require.NoError(t, err)
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	file, err := w.Create("postgres-any.txz")
	require.NoError(t, err)
	_, err = file.Write(binaries)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	sum := sha256.Sum256(archive.Bytes())

	r := &repository{asked: make(chan struct{}), hold: make(chan struct{})}
	first := sync.OnceFunc(func() { close(r.asked) })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		first()
		<-r.hold
		switch {
		case strings.HasSuffix(req.URL.Path, ".jar"):
			r.archives.Add(1)
			_, _ = w.Write(archive.Bytes())
		case r.wrongSum:
			_, _ = w.Write([]byte(strings.Repeat("0", 64)))
		default:
			_, _ = w.Write([]byte(hex.EncodeToString(sum[:])))
		}
	}))
	r.url = server.URL
	t.Cleanup(server.Close)
	return r
}

// closed returns the address of a repository that nobody can reach.
func closed(t *testing.T) (url, host string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return "http://" + l.Addr().String(), l.Addr().String()
}

func TestWithoutAServerAndWithoutARepositoryItIsSaidWhatToDo(t *testing.T) {
	t.Parallel()
	url, host := closed(t)
	cache := t.TempDir()
	_, err := embedded.Source{Kept: filepath.Join(cache, "pg"), Repository: url}.Binaries(t.Context())
	for _, part := range []string{"no Postgres server is installed", host, "install PostgreSQL, or set DATABASE_URL"} {
		require.ErrorContains(t, err, part)
	}
	require.NotContains(t, err.Error(), "\n")
	require.Equal(t, []string{"pg.lock"}, names(t, cache), "nothing half done is left")
}

func TestADownloadIsKept(t *testing.T) {
	t.Parallel()
	r := serve(t)
	close(r.hold)
	cache := t.TempDir()
	// What an interrupted download left behind, as the library or we ourselves left it.
	install(t, filepath.Join(cache, "pg/bin"), "postgres")
	install(t, filepath.Join(cache, "fetch-1234/root/bin"), "postgres", "initdb")
	for range 2 {
		bin, err := embedded.Source{Kept: filepath.Join(cache, "pg"), Repository: r.url}.Binaries(t.Context())
		require.NoError(t, err)
		require.Equal(t, filepath.Join(cache, "pg/bin"), bin)
	}
	require.EqualValues(t, 1, r.archives.Load())
	require.Equal(t, []string{"pg", "pg.lock"}, names(t, cache))
	for file, mode := range map[string]os.FileMode{"": 0o755, "bin/postgres": 0o755, "share/postgres.bki": 0o644} {
		info, err := os.Stat(filepath.Join(cache, "pg", file))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm()&mode, "another user has to use it: %s", file)
	}
}

func TestSeveralWhoNeedADownloadShareOne(t *testing.T) {
	t.Parallel()
	r := serve(t)
	s := embedded.Source{Kept: filepath.Join(t.TempDir(), "pg"), Repository: r.url}
	const callers = 4
	results := make(chan error, callers)
	for range callers {
		go func() {
			_, err := s.Binaries(t.Context())
			results <- err
		}()
	}
	<-r.asked
	require.NoDirExists(t, s.Kept, "it is there whole or not at all")
	close(r.hold)
	for range callers {
		require.NoError(t, <-results)
	}
	require.EqualValues(t, 1, r.archives.Load())
}

func TestADownloadThatHangsIsGivenUpWithItsCaller(t *testing.T) {
	t.Parallel()
	r := serve(t)
	cache := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := embedded.Source{Kept: filepath.Join(cache, "pg"), Repository: r.url}.Binaries(ctx)
		result <- err
	}()
	<-r.asked
	other, giveUp := context.WithCancel(t.Context())
	giveUp()
	_, err := embedded.Source{Kept: filepath.Join(cache, "pg"), Repository: r.url}.Binaries(other)
	require.ErrorIs(t, err, context.Canceled, "nor is it waited for by others any longer")
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)
	close(r.hold)
	require.Eventually(t, func() bool { return slices.Equal([]string{"pg", "pg.lock"}, names(t, cache)) }, patience, tick,
		"it ends, and is kept")
}

func TestADownloadThatIsNotWhatWasPublishedIsRefused(t *testing.T) {
	t.Parallel()
	r := serve(t)
	r.wrongSum = true
	close(r.hold)
	kept := filepath.Join(t.TempDir(), "pg")
	_, err := embedded.Source{Kept: kept, Repository: r.url}.Binaries(t.Context())
	require.ErrorContains(t, err, "checksums do not match")
	require.NoDirExists(t, kept)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
