package contractdoc

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pasdetrois/pkg/messages"
)

// docs is where the repository keeps what this package writes.
const docs = "../../../../docs"

func TestTheDocumentsAreUpToDate(t *testing.T) {
	t.Parallel()
	diffs, err := Check(docs)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range diffs {
		t.Error(d)
	}
}

func TestCheckFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Write(dir); err != nil {
		t.Fatal(err)
	}
	if diffs, err := Check(dir); err != nil || len(diffs) != 0 {
		t.Fatalf("just written: %v, %v", diffs, err)
	}
	file := filepath.Join(dir, "schema", "order_placed.v1.json")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(string(b), `"maxItems": 100`, `"maxItems": 101`, 1))
	write(t, filepath.Join(dir, "schema", "order_lost.v1.json"), "{}")
	if err := os.Remove(filepath.Join(dir, "asyncapi.json")); err != nil {
		t.Fatal(err)
	}
	diffs, err := Check(dir)
	if err != nil || len(diffs) != 3 {
		t.Fatalf("%q, %v", diffs, err)
	}
	for i, want := range []string{"asyncapi.json: missing", "schema/order_lost.v1.json: no event", "schema/order_placed.v1.json: line"} {
		if !strings.HasPrefix(diffs[i], want) {
			t.Errorf("%q, want %s", diffs[i], want)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// schemas returns the schema of each event, as a reader of the files sees it.
func schemas(t *testing.T) map[string]map[string]any {
	t.Helper()
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]map[string]any)
	for _, typ := range messages.Registry() {
		var s map[string]any
		if err := json.Unmarshal(files["schema/"+typ.SchemaName()], &s); err != nil {
			t.Fatal(err)
		}
		all[typ.Name] = s
	}
	return all
}

func TestSchemasAcceptWhatIsWritten(t *testing.T) {
	t.Parallel()
	all := schemas(t)
	for _, typ := range messages.Registry() {
		files, err := filepath.Glob("../../testdata/v1/" + typ.Name + ".*json")
		if err != nil || len(files) == 0 {
			t.Fatal("no golden file of", typ.Name, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if problem := check(t, all[typ.Name], b); problem != "" {
				t.Errorf("%s: %s", file, problem)
			}
		}
	}
	files, err := filepath.Glob("../../testdata/foreign/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no foreign messages", err)
	}
	for _, file := range files {
		if strings.Contains(file, "javascript") {
			continue // null for absent is understood, not promised
		}
		topic, _, _ := strings.Cut(filepath.Base(file), ".")
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, known := range messages.Topics() {
			if known.Name == topic {
				if problem := check(t, all[known.First], b); problem != "" {
					t.Errorf("%s: %s", file, problem)
				}
			}
		}
	}
}

// What a schema refuses, the decoder refuses, with few exceptions where the decoder is kinder.
func TestSchemasRefuseWhatIsRefused(t *testing.T) {
	t.Parallel()
	s := schemas(t)[messages.EventOrderPlaced]
	if problem := check(t, s, []byte(`{"order_id":"o","user_id":"u","total":1}`)); problem != "" {
		t.Fatal(problem)
	}
	for _, bad := range []string{
		`[]`, `{"order_id":"o","user_id":"u"}`, `{"order_id":"o","user_id":"u","items":[]}`, `{"order_id":"o","total":1}`,
		`{"order_id":"","user_id":"u","total":1}`, `{"order_id":1.5,"user_id":"u","total":1}`, `{"order_id":"a\nb","user_id":"u","total":1}`,
		`{"order_id":"o","user_id":"u","total":0}`, `{"order_id":"o","user_id":"u","total":-1}`, `{"order_id":"o","user_id":"u","total":1e12}`,
		`{"order_id":"o","user_id":"u","total":"x"}`, `{"order_id":"o","user_id":"u","total":1,"event":"order_lost"}`,
		`{"order_id":"o","user_id":"u","items":[{"sku":"a"}]}`, `{"order_id":"o","user_id":"u","items":[{"sku":"a","quantity":0}]}`,
		`{"order_id":"o","user_id":"u","items":[{"sku":"a","quantity":1001}]}`, `{"order_id":"o","user_id":"u","items":[{"sku":"a","quantity":1.5}]}`,
		`{"order_id":"o","user_id":"u","total":1,"currency":"DOLLAR"}`, `{"order_id":"o","user_id":"u","total":1,"timestamp":true}`,
	} {
		if check(t, s, []byte(bad)) == "" {
			t.Errorf("the schema accepts %s", bad)
		}
		if _, err := messages.Decode(messages.Record{Topic: messages.TopicOrders, Value: []byte(bad)}); err == nil {
			t.Errorf("the decoder accepts %s", bad)
		}
	}
}

func TestEveryKeywordIsChecked(t *testing.T) {
	t.Parallel()
	for _, s := range schemas(t) {
		walk(s, func(schema map[string]any) {
			for k := range schema {
				if !keywords[k] {
					t.Errorf("the keyword %s is not known to the tests", k)
				}
			}
		})
	}
}

func TestAsyncAPIDocumentHangsTogether(t *testing.T) {
	t.Parallel()
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(files["asyncapi.json"], &doc); err != nil {
		t.Fatal(err)
	}
	if doc["asyncapi"] != "3.0.0" || len(doc["channels"].(map[string]any)) != len(messages.Topics()) {
		t.Errorf("asyncapi %v, channels %v", doc["asyncapi"], doc["channels"])
	}
	refs := 0
	references(doc, func(to string) {
		refs++
		var at any = doc
		for _, step := range strings.Split(strings.TrimPrefix(to, "#/"), "/") {
			m, _ := at.(map[string]any)
			at = m[step]
		}
		if at == nil {
			t.Errorf("%s leads nowhere", to)
		}
	})
	if refs < 40 {
		t.Errorf("only %d references", refs)
	}
	operations := doc["operations"].(map[string]any)
	for _, typ := range messages.Registry() {
		if operations[typ.Owner+".send."+typ.Name] == nil {
			t.Errorf("nobody sends %s", typ.Name)
		}
	}
}

func references(v any, visit func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			if to, ok := m.(string); ok && k == "$ref" {
				visit(to)
			} else {
				references(m, visit)
			}
		}
	case []any:
		for _, m := range v {
			references(m, visit)
		}
	}
}

func TestATypeThatCannotBeDescribedIsAnError(t *testing.T) {
	t.Parallel()
	type untagged struct{ A string }
	type noKind struct {
		A string `wire:"order_id"`
	}
	type badKind struct {
		A string `wire:"order_id,shoe"`
	}
	type badOption struct {
		A string `wire:"order_id,id,maybe"`
	}
	type undescribed struct {
		A string `wire:"colour,id"`
	}
	for _, v := range []any{untagged{}, noKind{}, badKind{}, badOption{}, undescribed{}} {
		if s, err := objectOf(reflect.TypeOf(v)); err == nil {
			t.Errorf("%T is described as %+v", v, s)
		}
	}
}
