package contractdoc

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"pasdetrois/pkg/messages"
)

// docs/contract.md is written by hand; what it quotes must be true.
func TestThePageForUsersQuotesTheContract(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(docs + "/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	says := func(what, text string) {
		if !strings.Contains(page, text) {
			t.Errorf("docs/contract.md lacks %s: %s", what, text)
		}
	}
	for _, typ := range messages.Registry() {
		r, err := Example(typ)
		if err != nil {
			t.Fatal(err)
		}
		says("the example of "+typ.Name, "```json\n"+string(r.Value)+"\n```")
		says("a section", "\n### "+typ.Name+"\n")
		if typ.Name == messages.EventOrderPlaced {
			for _, h := range r.Headers {
				says("a header", h.Key+": "+string(h.Value)+"\n")
				says("what a header is", "| `"+h.Key+"` |")
			}
		}
	}
	for _, topic := range messages.Topics() {
		says("a topic", "| `"+topic.Name+"` ("+strconv.Itoa(topic.Partitions)+") | `"+topic.First+"` |")
	}
	for _, reason := range reasons(t) {
		says("a reason", "| `"+reason+"` |")
	}
	for _, file := range []string{"orders.minimal", "payments.minimal", "notifications.minimal"} {
		b, err := os.ReadFile("../../testdata/foreign/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		says("a foreign message", string(b))
	}
}

// reasons returns the values of the constants Reason… in package messages.
func reasons(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../decode.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "Reason") {
			s, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		return true
	})
	if len(all) < 8 {
		t.Fatalf("found only %v", all)
	}
	return all
}
