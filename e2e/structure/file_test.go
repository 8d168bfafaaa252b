package structure_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// file is what the rules look at in a Go file.
type file struct {
	path      string // from the root of the repository, with slashes
	pkg       string
	test      bool
	lines     int
	generated bool
	imports   []string
	words     []string   // of identifiers and text, each once: OrderID is "Order" and "ID"
	texts     []string   // text literals, as they are written
	calls     []string   // receiver.method
	lists     [][]string // the texts and constants of a composite literal or of a case, such as "orders" or messages.TopicOrders
	hasInit   bool
}

func (f file) in(folder string) bool { return strings.HasPrefix(f.path, folder+"/") }

// service is the folder of the service that a file belongs to, such as services/orders; "" when it belongs to none.
func (f file) service() string {
	parts := strings.Split(f.path, "/")
	if len(parts) < 3 || parts[0] != "services" && parts[0] != "examples" {
		return ""
	}
	return path.Join(parts[0], parts[1])
}

// refuse returns a problem for each import that is not allowed.
func (f file) refuse(because string, allowed func(imported string) bool) []string {
	var problems []string
	for _, imported := range f.imports {
		if !allowed(imported) {
			problems = append(problems, fmt.Sprintf("imports %s: %s", imported, because))
		}
	}
	return problems
}

// skipped are the folders that are no part of the repository, or no Go code of ours.
func skipped(name string) bool {
	return name == "testdata" || name == "bin" || name == "pas-data" || strings.HasPrefix(name, ".") && name != "."
}

// problems applies the rules to every Go file of a tree.
func problems(tree fs.FS) ([]string, error) {
	var found []string
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if skipped(entry.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		f, err := read(tree, name)
		if err != nil {
			return err
		}
		for _, check := range rules() {
			for _, problem := range check(f) {
				found = append(found, f.path+" "+problem)
			}
		}
		return nil
	})
	return found, err
}

func read(tree fs.FS, name string) (file, error) {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return file{}, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return file{}, err
	}
	f := file{
		path: name, pkg: parsed.Name.Name, test: strings.HasSuffix(name, "_test.go"), lines: bytes.Count(source, []byte("\n")), generated: ast.IsGenerated(parsed),
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, err
		}
		f.imports = append(f.imports, imported)
	}
	ast.Inspect(parsed, f.visit)
	slices.Sort(f.words)
	f.words = slices.Compact(f.words)
	return f, nil
}

var word = regexp.MustCompile(`[A-Z]+s?\b|[A-Z]?[a-z]+|[A-Z]+`)

// say collects words where a rule asks for them; finding them takes longer than everything else.
func (f *file) say(text string) {
	if f.in("pkg/platform") && !f.test {
		f.words = append(f.words, word.FindAllString(text, -1)...)
	}
}

func (f *file) visit(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.ImportSpec:
		return false
	case *ast.Ident:
		f.say(n.Name)
	case *ast.BasicLit:
		if n.Kind == token.STRING {
			f.texts = append(f.texts, n.Value)
			f.say(n.Value)
		}
	case *ast.CompositeLit, *ast.CaseClause:
		f.lists = append(f.lists, namesIn(n))
	case *ast.CallExpr:
		if method, ok := n.Fun.(*ast.SelectorExpr); ok {
			if receiver, ok := method.X.(*ast.Ident); ok {
				f.calls = append(f.calls, receiver.Name+"."+method.Sel.Name)
			}
		}
	case *ast.FuncDecl:
		f.hasInit = f.hasInit || n.Recv == nil && n.Name.Name == "init"
	}
	return true
}

// namesIn returns the texts and constants under a node. It leaves functions out, and what a map has for each service, such
// as a port.
func namesIn(node ast.Node) []string {
	if c, ok := node.(*ast.CaseClause); ok {
		node = &ast.CompositeLit{Elts: c.List}
	}
	var names []string
	ast.Inspect(node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.SelectorExpr); ok && !strings.HasPrefix(key.Sel.Name, "Topic") {
				names = append(names, namesIn(n.Value)...)
				return false
			}
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
				names = append(names, text)
			}
		case *ast.SelectorExpr:
			names = append(names, n.Sel.Name)
			return false
		}
		return true
	})
	return names
}
