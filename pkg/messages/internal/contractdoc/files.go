package contractdoc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"pasdetrois/pkg/messages"
)

// Files returns the documents by their path under docs/.
func Files() (map[string][]byte, error) {
	files := make(map[string][]byte)
	for _, t := range messages.Registry() {
		s, err := schemaOf(t)
		if err != nil {
			return nil, err
		}
		example, err := Example(t)
		if err != nil {
			return nil, err
		}
		s.Dialect = "https://json-schema.org/draft/2020-12/schema"
		s.ID = "urn:pasdetrois:schema:" + t.Name + ":v1"
		s.Examples = []RawObject{example.Value}
		if files[path.Join("schema", t.SchemaName())], err = indented(s); err != nil {
			return nil, err
		}
	}
	doc, err := asyncAPI()
	if err != nil {
		return nil, err
	}
	if files["asyncapi.json"], err = indented(doc); err != nil {
		return nil, err
	}
	return files, nil
}

// Write writes the documents under dir.
func Write(dir string) error {
	files, err := Files()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "schema"), 0o755); err != nil {
		return err
	}
	for name, want := range files {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), want, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Check compares the documents under dir with the code and returns one line for each difference: none means that they
// agree.
func Check(dir string) ([]string, error) {
	files, err := Files()
	if err != nil {
		return nil, err
	}
	var diffs []string
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		switch {
		case os.IsNotExist(err):
			diffs = append(diffs, name+": missing")
		case err != nil:
			return nil, err
		case !bytes.Equal(got, want):
			diffs = append(diffs, name+": "+firstDifference(got, want))
		}
	}
	stored, err := filepath.Glob(filepath.Join(dir, "schema", "*"))
	if err != nil {
		return nil, err
	}
	for _, file := range stored {
		if name := path.Join("schema", filepath.Base(file)); files[name] == nil {
			diffs = append(diffs, name+": no event of the contract has this schema")
		}
	}
	slices.Sort(diffs)
	return diffs, nil
}

// firstDifference names the first line that differs.
func firstDifference(got, want []byte) string {
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = strings.TrimSpace(g[i])
		}
		if i < len(w) {
			b = strings.TrimSpace(w[i])
		}
		if a != b || i >= len(g) || i >= len(w) {
			return fmt.Sprintf("line %d is %q, the code says %q", i+1, a, b)
		}
	}
	return "differs in white space"
}

// compact returns v as JSON, with < and > as they are.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

func indented(v any) ([]byte, error) {
	raw, err := compact(v)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
