package structure_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// makeCommand is a target and perhaps a variable. It counts where a reader takes it for a command: in backticks, and outside of
// Go also at the start of a line and as a step of CI.
const makeCommand = `make ([a-z-]+)(?: ([A-Z]+)=([a-z]*))?`

var (
	quotedCommands = regexp.MustCompile("`" + makeCommand)
	makeCommands   = regexp.MustCompile("(?m)(?:`|^[\\t $#]*|- run: |step [^\n]*)" + makeCommand)
)

// knownToMake returns the words that follow `make` and the names of the suites.
func knownToMake(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for file, pattern := range map[string]string{"Makefile": `(?m)^([a-z-]+):`, "tools/suite": `(?m)^suite_([a-z]+)\(\)`, "tools/generate": `(?m)^  ([a-z]+)\) #`} {
		content, err := os.ReadFile(filepath.Join(root, file))
		require.NoError(t, err)
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(string(content), -1)
		require.Greater(t, len(found), 2, file)
		for _, match := range found {
			known[file+" "+match[1]] = true
		}
	}
	return known
}

// unknownToMake returns the commands of a text that `make` would not take.
func unknownToMake(known map[string]bool, commands *regexp.Regexp, text string) []string {
	var wrong []string
	for _, match := range commands.FindAllStringSubmatch(text, -1) {
		target, variable, value := match[1], match[2], match[3]
		ok := known["Makefile "+target]
		switch {
		case variable == "SUITE" && value != "":
			ok = ok && known["tools/suite "+value]
		case variable == "WHAT":
			ok = ok && known["tools/generate "+value]
		}
		if !ok {
			wrong = append(wrong, strings.TrimSpace(fmt.Sprintf("make %s %s", target, strings.Trim(variable+"="+value, "="))))
		}
	}
	return wrong
}

// TestEachMakeCommandThatIsWrittenDownExists: what a document, a script, a message or a comment names can be typed.
func TestEachMakeCommandThatIsWrittenDownExists(t *testing.T) {
	t.Parallel()
	known := knownToMake(t)
	require.Equal(t, []string{"make mail", "make test SUITE=nothing", "make generate WHAT=ever"},
		unknownToMake(known, makeCommands, "run `make mail`, `make test SUITE=nothing`\n      - run: make lint\nmake generate WHAT=ever\nand make sure"))
	commands := 0
	err := fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if err == nil && skipped(entry.Name()) && entry.Name() != ".github" && entry.Name() != ".ci" && entry.Name() != "testdata" {
				return fs.SkipDir
			}
			return err
		}
		if name == ".git" || name == "e2e/structure/make_test.go" { // a work tree's pointer; this file's own examples
			return nil
		}
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || bytes.IndexByte(content, 0) >= 0 || !bytes.Contains(content, []byte("make ")) {
			return err
		}
		pattern := makeCommands
		if path.Ext(name) == ".go" {
			pattern = quotedCommands
		}
		commands += len(pattern.FindAllIndex(content, -1))
		for _, wrong := range unknownToMake(known, pattern, string(content)) {
			t.Errorf("%s names `%s`, which does not exist", name, wrong)
		}
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, commands, 50)
}
