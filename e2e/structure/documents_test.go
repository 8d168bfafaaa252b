package structure_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	link     = regexp.MustCompile(`\[([^\]]*)\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	unslug   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	codeOnly = regexp.MustCompile("^`([A-Za-z0-9_]+)`$")
)

// slug is the anchor that GitHub gives a heading.
func slug(title string) string {
	return strings.ReplaceAll(unslug.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), ""), " ", "-")
}

// brokenLinks checks the links of a document that stay in the repository: the file exists, it has the heading, and a Go file
// declares the name that the link shows as code.
func brokenLinks(document, text string, read func(path string) (string, error)) (broken []string) {
	for _, found := range link.FindAllStringSubmatch(text, -1) {
		label, target := found[1], found[2]
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		name, anchor, _ := strings.Cut(target, "#")
		path := document
		if name != "" {
			path = filepath.Join(filepath.Dir(document), name)
		}
		content, err := read(path)
		if err != nil {
			broken = append(broken, fmt.Sprintf("%s: %s does not exist", document, target))
			continue
		}
		if anchor != "" && strings.HasSuffix(path, ".md") {
			known := false
			for _, title := range heading.FindAllStringSubmatch(content, -1) {
				known = known || slug(title[1]) == anchor
			}
			if !known {
				broken = append(broken, fmt.Sprintf("%s: %s has no heading #%s", document, path, anchor))
			}
		}
		if code := codeOnly.FindStringSubmatch(label); code != nil && strings.HasSuffix(path, ".go") {
			declared := regexp.MustCompile(`(?m)^(func (\([^)]*\) )?|type |const |var |\t)` + code[1] + `\b`)
			if !declared.MatchString(content) {
				broken = append(broken, fmt.Sprintf("%s: %s declares no %s", document, path, code[1]))
			}
		}
	}
	return broken
}

// readLinked returns a file's text, and nothing for a folder.
func readLinked(path string) (string, error) {
	info, err := os.Stat(filepath.Join(root, path))
	if err != nil || info.IsDir() {
		return "", err
	}
	b, err := os.ReadFile(filepath.Join(root, path))
	return string(b), err
}

func TestDocumentsLinkToWhatExists(t *testing.T) {
	t.Parallel()
	documents := 0
	require.NoError(t, filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".md") {
			return nil
		}
		documents++
		name, err := filepath.Rel(root, path)
		require.NoError(t, err)
		text, err := readLinked(name)
		require.NoError(t, err)
		for _, broken := range brokenLinks(name, text, readLinked) {
			t.Error(broken)
		}
		return nil
	}))
	require.Greater(t, documents, 20)
}

func TestBrokenLinksAreFound(t *testing.T) {
	t.Parallel()
	files := map[string]string{"docs/a.md": "# One title\n", "x/y.go": "package y\n\nfunc (s *S) Run() {}\n\ntype T int\n"}
	read := func(path string) (string, error) {
		if text, ok := files[path]; ok {
			return text, nil
		}
		return "", os.ErrNotExist
	}
	const good = "[a](a.md) [b](a.md#one-title) [`Run`](../x/y.go) [`T`](../x/y.go) [out](https://example.com/none)"
	require.Empty(t, brokenLinks("docs/b.md", good, read))
	for _, bad := range []string{"[a](b.md)", "[a](a.md#two)", "[`Stop`](../x/y.go)", "[`Run`](../x/z.go)"} {
		require.Len(t, brokenLinks("docs/b.md", bad, read), 1, bad)
	}
}

// recipe returns the files that a section of docs/extending.md links to in the first column of its tables.
func recipe(t *testing.T, title string) (files []string) {
	t.Helper()
	text, err := readLinked("docs/extending.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(text, "## "+title+"\n")
	require.True(t, found, title)
	section, _, _ = strings.Cut(section, "\n## ")
	for _, row := range regexp.MustCompile(`(?m)^\| \[[^\]]+\]\(\.\./([^)]+)\) \|`).FindAllStringSubmatch(section, -1) {
		files = append(files, row[1])
	}
	return files
}

// The bill of a newcomer: files by hand, without generated ones.
func TestTheRecipesStayShort(t *testing.T) {
	t.Parallel()
	require.Len(t, recipe(t, "Add an event"), 5)
	require.Len(t, recipe(t, "Add a payment provider"), 3)
	var own, elsewhere, there []string
	for _, file := range recipe(t, "Add a service") {
		if strings.HasPrefix(file, "examples/shipping/") {
			own = append(own, file)
		} else {
			elsewhere = append(elsewhere, file)
		}
	}
	require.NoError(t, filepath.WalkDir(filepath.Join(root, "examples/shipping"), func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != "go.sum" {
			name, _ := filepath.Rel(root, path)
			there = append(there, filepath.ToSlash(name))
		}
		return err
	}))
	require.ElementsMatch(t, there, own, "the document lists every file of the example")
	require.Len(t, own, 12)
	require.Len(t, elsewhere, 2)
}
