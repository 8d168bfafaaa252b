package codecgen

import (
	"bytes"
	_ "embed"
	"go/format"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// File is the name of the file that Write writes.
const File = "codec_gen.go"

//go:embed codec.go.tmpl
var text string

// Write writes the codec of the package in dir.
func Write(dir string) error {
	source, err := Source(dir)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, File), source, 0o644)
}

// Same reports whether the codec in dir is the one that Write would write.
func Same(dir string) (bool, error) {
	want, err := Source(dir)
	if err != nil {
		return false, err
	}
	got, err := os.ReadFile(filepath.Join(dir, File))
	return bytes.Equal(got, want), err
}

// Source returns the text of the codec.
func Source(dir string) ([]byte, error) {
	c, err := read(dir)
	if err != nil {
		return nil, err
	}
	if err := c.complete(); err != nil {
		return nil, err
	}
	t, err := template.New(File).Funcs(template.FuncMap{"constant": constant}).Parse(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, c); err != nil {
		return nil, err
	}
	return format.Source(b.Bytes())
}

// constant returns the constant of a wire name: order_id is fOrderID.
func constant(name string) string {
	var b strings.Builder
	b.WriteByte('f')
	for word := range strings.SplitSeq(name, "_") {
		if word == "id" {
			b.WriteString("ID")
			continue
		}
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
