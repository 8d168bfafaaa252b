package erasure

import (
	"fmt"

	"pasdetrois/pkg/platform/secretfile"
)

// Settings says where the key is.
type Settings struct {
	KeyFile string `env:"ERASURE_KEY_FILE" desc:"file with the key that makes pseudonyms of erased users, 32 bytes or more on a line, the same for all services; older keys on the lines below; none: users cannot be erased"`
}

// Validate returns an error when the file has no usable key.
func (s Settings) Validate() error {
	_, err := s.Keys()
	return err
}

// Keys reads the file. Without one there are no keys.
func (s Settings) Keys() (Keys, error) {
	if s.KeyFile == "" {
		return Keys{}, nil
	}
	text, err := secretfile.Read(s.KeyFile)
	if err != nil {
		return Keys{}, fmt.Errorf("ERASURE_KEY_FILE: %w", err)
	}
	keys, err := ParseKeys(text)
	if err != nil {
		return Keys{}, fmt.Errorf("ERASURE_KEY_FILE: %s: %w", s.KeyFile, err)
	}
	return keys, nil
}
