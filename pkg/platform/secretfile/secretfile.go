// Package secretfile reads files that hold a secret: tokens and private keys.
//
// A file that its group or others may read is refused: on a machine with several users it is no secret. Two kinds of mounts
// are excepted, because their modes cannot express the owner's wish, and because only the container's own process reaches them:
//
//   - A Kubernetes secret volume. Its files belong to root, and reach a container that is not root by their group (fsGroup) or by
//     the mode of others. Kubelet marks such a folder with the link "..data".
//   - A folder below /run/secrets, where Docker and Compose mount secrets with the mode that the file has on the host.
//
// A file that its group or others may write is refused in any case.
package secretfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxBytes bounds a file. Keys and certificates of a whole chain are smaller.
const maxBytes = 1 << 20

// ReadableError means that other users of the machine may read or write the file.
type ReadableError struct {
	Path string
	Mode fs.FileMode
}

// Error implements error.
func (e *ReadableError) Error() string {
	verb := "read"
	if e.Mode&0o022 != 0 {
		verb = "change"
	}
	return fmt.Sprintf("%s has the mode %04o, so others may %s it: chmod 600 %s", e.Path, e.Mode, verb, e.Path)
}

// Read returns the content of the file at path. Besides the errors of the file system it returns a *ReadableError. The mode
// is that of the opened file, so the file cannot be exchanged in between.
func Read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	mode := info.Mode().Perm()
	if mode&0o022 != 0 || mode&0o044 != 0 && !mounted(path) {
		return nil, &ReadableError{Path: path, Mode: mode}
	}
	content, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err == nil && len(content) > maxBytes {
		err = fmt.Errorf("%s has more than %d bytes", path, maxBytes)
	}
	return content, err
}

// mounts is the folder in which Docker and Compose mount secrets.
const mounts = "/run/secrets/"

// mounted reports whether the file is in a mount of secrets.
func mounted(path string) bool {
	path, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	if strings.HasPrefix(path, mounts) || strings.HasPrefix(path, "/var"+mounts) {
		return true
	}
	// Kubelet's link leads from the folder, or from one above it when the secret's key has a path.
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if info, err := os.Lstat(filepath.Join(dir, "..data")); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return true
		}
		if dir == filepath.Dir(dir) {
			return false
		}
	}
}

// Lines returns the lines of a file's content without spaces around them, and without empty ones.
func Lines(content []byte) (lines []string) {
	for line := range bytes.Lines(content) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			lines = append(lines, string(line))
		}
	}
	return lines
}

// MinToken is the least number of characters of a token. 32 hex digits are 128 bits.
const MinToken = 32

// CheckToken returns an error for a text that is no token: too short, or with a character that a header cannot carry. The error
// does not hold the token.
func CheckToken(token string) error {
	if len(token) < MinToken {
		return fmt.Errorf("a token of %d characters is too short: give %d or more, such as those of `openssl rand -hex 32`", len(token), MinToken)
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("a token has a character that is not printable ASCII")
	}
	return nil
}
