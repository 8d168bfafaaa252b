package messages

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// scanAll reads s as one value.
func scanAll(s string) (value, *DecodeError) {
	sc := scanner{s: s}
	v, err := sc.value()
	if err == nil {
		err = sc.end()
	}
	return v, err
}

func TestTextIsReadAsEncodingJSONReadsIt(t *testing.T) {
	t.Parallel()
	for _, s := range []string{`""`, `"a"`, `"\b\f\n\r\t\"\\\/"`, `"\u0041\u00e9\u20ac\uD83D\uDE00x"`, `"é\u00E9😀"`, `"a\\"`, `"\\\""`} {
		var want string
		if err := json.Unmarshal([]byte(s), &want); err != nil {
			t.Fatal(err)
		}
		if v, err := scanAll(s); err != nil || v.kind != text || v.s != want {
			t.Errorf("%s is read as %q, %v, want %q", s, v.s, err, want)
		}
	}
}

// FuzzScanner holds the scanner to encoding/json: what it accepts is JSON; what it refuses is no JSON, or JSON that two
// readers could understand differently, or too deep.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,true,false,null,"x\u00e9\ud83d\ude00"],"b":{"c":{}}}`, ` [ ] `, `{"a":1,"a":2}`, `"\ud800"`, `01`, `-`, `1e`,
		`{"a"}`, `{,}`, `[1,]`, `tru`, "\"\xff\"", `{"a":1}x`, strings.Repeat("[", 40), `"\u00`, `"\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := scanAll(s)
		valid := json.Valid([]byte(s))
		if err == nil && !valid {
			t.Fatalf("%q is accepted but is no JSON", s)
		}
		if err != nil && valid && err.Reason == ReasonNotJSON && !strings.Contains(err.Detail, "escape") {
			t.Fatalf("%q is JSON but refused: %v", s, err)
		}
		if err != nil && !valid && err.Reason == ReasonInvalidMessage {
			t.Fatalf("%q is no JSON but refused as %v", s, err)
		}
		if err == nil && v.kind == text && utf8.ValidString(s) {
			var want string
			if json.Unmarshal([]byte(s), &want) != nil || want != v.s {
				t.Fatalf("%q is read as %q, want %q", s, v.s, want)
			}
		}
	})
}

// CheckJSON is what HTTP bodies are held to; see also the tests of the platform's httpx.
func TestCheckJSONAcceptsOneValueThatHasOneMeaning(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"a":[1.5e300,{"b":null}]}`: "", ` "x" `: "", `1`: "",
		``: "ends where a value should be", `{} {}`: "more behind the value", `{"a":1,"a":2}`: `the key "a" stands twice`,
		`{"a":[1e400]}`: `the number 1e400 of "a" is out of range`, `-1e999`: "the number -1e999 of the body is out of range",
		"\"\xff\"": "not valid UTF-8", `"\ud800"`: "bad escape sequence",
	} {
		err := CheckJSON([]byte(text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
