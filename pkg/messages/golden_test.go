package messages_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/messages/internal/contractdoc"
)

var update = flag.Bool("update", false, "write golden files that are missing, and their sums; never change one")

const sums = "testdata/SHA256SUMS"

// goldenFile is where an event's body stands; its key and headers stand beside it.
func goldenFile(event string) string { return filepath.Join("testdata", "v1", event+".json") }

func goldenHeaders(event string) string { return filepath.Join("testdata", "v1", event+".headers") }

// headerText returns a record's key and headers, one a line.
func headerText(r messages.Record) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "key: %s\n", r.Key)
	for _, h := range r.Headers {
		fmt.Fprintf(&b, "%s: %s\n", h.Key, h.Value)
	}
	return b.Bytes()
}

// readGolden returns an event's golden record, as a consumer reads it.
func readGolden(t *testing.T, typ messages.Type) messages.Record {
	t.Helper()
	r := messages.Record{Topic: typ.Topic, Partition: 2, Offset: 77, Value: bytes.TrimSuffix(read(t, goldenFile(typ.Name)), []byte("\n"))}
	for line := range strings.Lines(string(read(t, goldenHeaders(typ.Name)))) {
		k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if k == "key" {
			r.Key = []byte(v)
			continue
		}
		r.Headers = append(r.Headers, messages.Header{Key: k, Value: []byte(v)})
	}
	return r
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Not parallel: with -update, the sums are taken after this.
func TestGoldenFilesAreWhatIsWritten(t *testing.T) {
	for _, typ := range messages.Registry() {
		t.Run(typ.Name, func(t *testing.T) {
			r, err := contractdoc.Example(typ)
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, goldenFile(typ.Name), append(bytes.Clone(r.Value), '\n'))
			compareGolden(t, goldenHeaders(typ.Name), headerText(r))
		})
	}
}

func compareGolden(t *testing.T, file string, got []byte) {
	t.Helper()
	if _, err := os.Stat(file); os.IsNotExist(err) && *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, file); !bytes.Equal(got, want) {
		t.Errorf("%s: consumers of this version read\n%s\nbut now is written\n%s", file, want, got)
	}
}

// The golden files are append-only: each is named with its sum, and a changed one shows up in review as a changed sum.
func TestGoldenFilesAreAppendOnly(t *testing.T) {
	t.Parallel()
	var files []string
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && (strings.HasSuffix(path, ".json") || strings.HasSuffix(path, ".headers")) && !strings.Contains(path, "fuzz") {
			files = append(files, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]string)
	if b, err := os.ReadFile(sums); err == nil {
		for line := range strings.Lines(string(b)) {
			sum, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
			known[file] = sum
		}
	}
	slices.Sort(files)
	var text strings.Builder
	for _, file := range files {
		h := sha256.Sum256(read(t, file))
		sum := hex.EncodeToString(h[:])
		switch want := known[file]; {
		case want == "" && !*update:
			t.Errorf("%s is not in %s: run go test -update", file, sums)
		case want != "" && want != sum:
			t.Errorf("%s was changed: golden files are only ever added", file)
		}
		delete(known, file)
		fmt.Fprintf(&text, "%s  %s\n", sum, file)
	}
	for file := range known {
		t.Errorf("%s was removed: golden files are only ever added", file)
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(sums, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
