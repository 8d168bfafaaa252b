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
	"strconv"
	"strings"
	"testing"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/messages/internal/contractdoc"
)

var update = flag.Bool("update", false, "write golden files that are missing, and their sums; never change one")

const sums = "testdata/SHA256SUMS"

// goldenFiles are the golden files of an event, the oldest first: order_placed.json, then order_placed.2.json with the fields that
// were added later, and so on. The key and the headers of each stand beside it.
func goldenFiles(event string) []string {
	files := []string{filepath.Join("testdata", "v1", event+".json")}
	for n := 2; ; n++ {
		file := filepath.Join("testdata", "v1", event+"."+strconv.Itoa(n)+".json")
		if _, err := os.Stat(file); err != nil {
			return files
		}
		files = append(files, file)
	}
}

// goldenFile is where the body of an event with all its fields stands.
func goldenFile(event string) string {
	files := goldenFiles(event)
	return files[len(files)-1]
}

func goldenHeaders(file string) string { return strings.TrimSuffix(file, ".json") + ".headers" }

// headerText returns a record's key and headers, one a line.
func headerText(r messages.Record) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "key: %s\n", r.Key)
	for _, h := range r.Headers {
		fmt.Fprintf(&b, "%s: %s\n", h.Key, h.Value)
	}
	return b.Bytes()
}

// readGolden returns an event's newest golden record, as a consumer reads it.
func readGolden(t *testing.T, typ messages.Type) messages.Record {
	t.Helper()
	return readRecord(t, typ.Topic, goldenFile(typ.Name))
}

func readRecord(t *testing.T, topic, file string) messages.Record {
	t.Helper()
	r := messages.Record{Topic: topic, Partition: 2, Offset: 77, Value: bytes.TrimSuffix(read(t, file), []byte("\n"))}
	for line := range strings.Lines(string(read(t, goldenHeaders(file)))) {
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
			file := goldenFile(typ.Name)
			if grown(t, file, r) { // its type has fields that the newest golden file has not
				file = filepath.Join("testdata", "v1", typ.Name+"."+strconv.Itoa(len(goldenFiles(typ.Name))+1)+".json")
			}
			compareGolden(t, file, append(bytes.Clone(r.Value), '\n'))
			compareGolden(t, goldenHeaders(file), headerText(r))
		})
	}
}

// grown reports whether the example is another message than the golden file has. With -update it gets a file of its own.
func grown(t *testing.T, file string, r messages.Record) bool {
	t.Helper()
	_, err := os.Stat(file)
	return err == nil && *update && !bytes.Equal(append(bytes.Clone(r.Value), '\n'), read(t, file))
}

// A message that an earlier version wrote, without the fields that were added since, is read and written byte by byte.
func TestEarlierGoldenFilesAreReadAndWrittenAsTheyWere(t *testing.T) {
	t.Parallel()
	earlier := 0
	for _, typ := range messages.Registry() {
		files := goldenFiles(typ.Name)
		for _, file := range files[:len(files)-1] {
			earlier++
			r := readRecord(t, typ.Topic, file)
			m, err := messages.Decode(r)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			again, err := m.Record()
			if err != nil || !bytes.Equal(again.Value, r.Value) || !bytes.Equal(headerText(again), headerText(r)) {
				t.Errorf("%s: written again as %s, %v", file, again.Value, err)
			}
			roundTrip(t, m)
		}
	}
	if earlier == 0 {
		t.Error("no event has grown")
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
