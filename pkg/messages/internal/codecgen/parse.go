// Package codecgen writes the codec of the contract's events: what decodes, encodes and validates each of them, and the
// names by which the rest of package messages knows them.
//
// It reads the source of package messages, not the package, because the package does not compile without the codec: the
// struct types with `wire` tags in events.go, the rows of registry.go and the topics of table.go. An event is the type of
// a row's Example, and its name is that type's name in snake case. Everything else follows from the tags:
//
//	`wire:"NAME,KIND[,positive][,optional[,lenient]]"`
//
// Package contractdoc writes the documents from the same tags.
package codecgen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// contract is what the template needs.
type contract struct {
	Events                 []event
	Topics, First, Amounts []group // events by topic, first events by topic, events by the field of their amount
	Fields                 []string
}

// event is one type of events.go that has a row in the registry.
type event struct {
	GoName, Name, Topic string // OrderPlaced, order_placed, TopicOrders
	Fields              []field
	Key, Order          string   // the fields that have the record's key and the order id; Order is "" for an event of no order
	Reads               string   // the members of the literal that Decode makes
	Later               []string // the statements behind it: from the first optional amount on
	Writes, Rules       []string
}

// field is one field of an event that stands on the wire.
type field struct {
	GoName, Name, Kind string // OrderID, order_id, id
	Optional, Positive bool
	Lenient            bool   // a value of another form counts as absent
	Has                string // the field that says whether an optional amount is there, "" = there is none
}

// group is a constant and the constants of events that belong to it.
type group struct{ Name, Events string }

// read reads the contract from the sources in dir.
func read(dir string) (contract, error) {
	files := make(map[string]*ast.File)
	for _, name := range []string{"events.go", "registry.go", "table.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return contract{}, err
		}
		files[name] = f
	}
	types := structs(files["events.go"])
	var c contract
	for _, row := range composites(files["registry.go"], "Example") {
		goName, topic := typeName(row["Example"]), identifier(row["Topic"])
		fields, known := types[goName]
		if !known || topic == "" {
			return contract{}, fmt.Errorf("registry.go: the row of %q names no type of events.go, or no topic", goName)
		}
		e := event{GoName: goName, Name: snake(goName), Topic: topic}
		var err error
		if e.Fields, err = wireFields(fields); err != nil {
			return contract{}, fmt.Errorf("events.go: %s: %w", goName, err)
		}
		c.Events = append(c.Events, e)
	}
	for _, topic := range composites(files["table.go"], "First") {
		c.First = append(c.First, group{identifier(topic["Name"]), identifier(topic["First"])})
	}
	if len(c.Events) == 0 || len(c.First) == 0 {
		return contract{}, fmt.Errorf("%s has no rows of events, or no topics", dir)
	}
	return c, nil
}

// structs returns the struct types of a file by name.
func structs(f *ast.File) map[string]*ast.StructType {
	found := make(map[string]*ast.StructType)
	ast.Inspect(f, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if s, ok := spec.Type.(*ast.StructType); ok {
				found[spec.Name.Name] = s
			}
		}
		return true
	})
	return found
}

// composites returns the members of each composite literal that has the member named.
func composites(f *ast.File, member string) []map[string]ast.Expr {
	var found []map[string]ast.Expr
	ast.Inspect(f, func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		members := make(map[string]ast.Expr)
		for _, element := range literal.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok {
				members[identifier(pair.Key)] = pair.Value
			}
		}
		if members[member] != nil {
			found = append(found, members)
		}
		return true
	})
	return found
}

// identifier returns a name such as TopicOrders, "" for any other expression.
func identifier(e ast.Expr) string {
	if name, ok := e.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// typeName returns the type of a literal such as OrderPlaced{…}.
func typeName(e ast.Expr) string {
	if literal, ok := e.(*ast.CompositeLit); ok {
		return identifier(literal.Type)
	}
	return ""
}

// wireFields reads the tags of a type. A field Has… with the tag "-" belongs to the amount that it is named after.
func wireFields(s *ast.StructType) ([]field, error) {
	var fields []field
	var unwired []string
	for _, f := range s.Fields.List {
		if len(f.Names) != 1 || f.Tag == nil {
			return nil, fmt.Errorf("each field needs a line and a wire tag of its own")
		}
		text, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			return nil, err
		}
		parts := strings.Split(reflect.StructTag(text).Get("wire"), ",")
		goName := f.Names[0].Name
		switch {
		case parts[0] == "-":
			unwired = append(unwired, goName)
			continue
		case len(parts) < 2:
			return nil, fmt.Errorf("the wire tag of %s names no kind", goName)
		}
		fields = append(fields, field{GoName: goName, Name: parts[0], Kind: parts[1],
			Optional: slices.Contains(parts[2:], "optional"), Positive: slices.Contains(parts[2:], "positive"),
			Lenient: slices.Contains(parts[2:], "lenient")})
	}
	for i, f := range fields {
		if has := "Has" + f.GoName; slices.Contains(unwired, has) {
			fields[i].Has = has
		}
	}
	return fields, nil
}

// snake returns a Go name as it is on the wire: OrderPlaced is order_placed.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
