package migrations

import (
	"fmt"
	"io/fs"
	"path"

	"github.com/pressly/goose/v3"
)

// Newest returns the version of a service's schema after all its migrations.
func Newest(service string) (version int64, err error) {
	names, err := fs.Glob(files, path.Join(service, "*.sql"))
	if err != nil {
		return 0, fmt.Errorf("migrations of %s: %w", service, err)
	}
	for _, name := range names {
		number, err := goose.NumericComponent(path.Base(name))
		if err != nil {
			return 0, fmt.Errorf("migrations of %s: %w", service, err)
		}
		version = max(version, number)
	}
	return version, nil
}
