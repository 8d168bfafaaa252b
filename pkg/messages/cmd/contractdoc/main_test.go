package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckExitsWithOneWhenADocumentDiffers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out, errs bytes.Buffer
	if code := run([]string{"-dir", dir}, &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	if code := run([]string{"-dir", dir, "-check"}, &out, &errs); code != 0 || out.Len() != 0 {
		t.Fatalf("exit %d just after writing: %s%s", code, out.String(), errs.String())
	}
	if err := os.WriteFile(filepath.Join(dir, "asyncapi.json"), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run([]string{"-dir", dir, "-check"}, &out, &errs); code != 1 || !strings.Contains(out.String(), `asyncapi.json: line 1 is "{}"`) {
		t.Errorf("exit %d: %s%s", code, out.String(), errs.String())
	}
	if got, err := os.ReadFile(filepath.Join(dir, "asyncapi.json")); err != nil || string(got) != "{}\n" {
		t.Errorf("-check wrote %q, %v", got, err)
	}
	if code := run([]string{"-colour"}, &out, &errs); code != 2 {
		t.Errorf("an unknown flag exits with %d", code)
	}
}
