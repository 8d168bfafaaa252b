package migrations

import (
	"io/fs"
	"testing"
)

const BootstrapLock = bootstrapLock

// Named returns a service's migrations as they run with an auditor of that quoted name.
func Named(t *testing.T, service, auditor string) map[string]string {
	t.Helper()
	sub, err := fs.Sub(files, service)
	if err != nil {
		t.Fatal(err)
	}
	dir := named{sub, auditor}
	texts := map[string]string{}
	names, err := fs.Glob(dir, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		texts[service+"/"+name] = string(text)
	}
	return texts
}
