package codecgen

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

func TestTheCodecIsWhatTheTypesSay(t *testing.T) {
	t.Parallel()
	same, err := Same(root)
	if err != nil || !same {
		t.Errorf("run `make generate`: %v", err)
	}
}

// copied returns a folder with the sources that the generator reads, changed.
func copied(t *testing.T, file, old, with string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"events.go", "registry.go", "table.go"} {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		if name == file {
			if !strings.Contains(text, old) {
				t.Fatalf("%s has no %q", file, old)
			}
			text = strings.Replace(text, old, with, 1)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A new event is a type and a row, a new field is a line: the codec follows.
func TestATypeAndARowMakeAnEvent(t *testing.T) {
	t.Parallel()
	const order = "\n// PaymentRequested is"
	for name, c := range map[string]struct {
		file, old, with string
		has             []string
	}{
		"a new event": {"events.go", order, "\ntype OrderShipped struct {\n\tOrderID string `wire:\"order_id,id\"`\n\tParcel string `wire:\"parcel,name,optional\"`\n}\n" + order, nil},
		"a new field": {"events.go", "	Reason  string `wire:\"reason,reason\"`\n", "	Reason  string `wire:\"reason,reason\"`\n	Clerk string `wire:\"clerk,id,optional\"`\n",
			[]string{"fClerk", `case "clerk":`, "Clerk: c.id(fClerk)", `w.text("clerk", e.Clerk)`, `p.optional("clerk", e.Clerk)`}},
	} {
		dir := copied(t, c.file, c.old, c.with)
		if name == "a new event" {
			registry := filepath.Join(dir, "registry.go")
			b, err := os.ReadFile(registry)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Replace(string(b), "return []Type{\n", "return []Type{\n{Topic: TopicOrders, Example: OrderShipped{}},\n", 1)
			if err := os.WriteFile(registry, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			c.has = []string{`EventOrderShipped `, `"order_shipped"`, "func (e OrderShipped) Validate()", `w.text("parcel", e.Parcel)`, "case EventOrderShipped, EventOrderPlaced"}
		}
		source, err := Source(dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, want := range c.has {
			if !strings.Contains(string(source), want) {
				t.Errorf("%s: the codec has no %s", name, want)
			}
		}
		if same, err := Same(dir); same || err == nil { // there is no file yet
			t.Errorf("%s: %v, %v", name, same, err)
		}
	}
}

func TestWhatTheGeneratorCannotWriteIsAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ file, old, with, says string }{
		"an unknown kind":                  {"events.go", `"reason,reason"`, `"reason,colour"`, "unknown kind"},
		"a field without a tag":            {"events.go", " `wire:\"reason,reason\"`", "", "wire tag of its own"},
		"a tag without a kind":             {"events.go", `"reason,reason"`, `"reason"`, "names no kind"},
		"an amount that cannot be missing": {"events.go", "`wire:\"amount,money,positive\"`", "`wire:\"amount,money,optional\"`", "HasAmount"},
		"an optional reason":               {"events.go", `"reason,reason"`, `"reason,reason,optional"`, "no rule"},
		"an event without an order":        {"events.go", `"order_id,id"`, `"order,id"`, "no order_id and no sku"},
		"a lenient id":                     {"events.go", `"payment_id,id,optional"`, `"payment_id,id,optional,lenient"`, "can be lenient"},
		"a row without a type":             {"registry.go", "Example: PaymentFailed{", "Example: Unheard{", "names no type"},
	} {
		_, err := Source(copied(t, c.file, c.old, c.with))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
