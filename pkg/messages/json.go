package messages

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a body. The contract's own bodies have a depth of three. A tool that reads topics of other
// people goes down to maxForeignDepth. The scanner recurses, so a bound also protects the stack.
const (
	maxDepth        = 32
	maxForeignDepth = 1000
)

// kind is the kind of a JSON value.
type kind uint8

const (
	absent kind = iota
	null
	boolean
	number
	text
	object
	array
)

func (k kind) String() string {
	return [...]string{"nothing", "null", "true or false", "a number", "text", "an object", "an array"}[k]
}

// value is a JSON value, not yet converted: the conversion depends on the field. It is the content of a text, the literal of a
// number, the source of an object or array.
type value struct {
	kind kind
	s    string
}

// scanner reads JSON in one pass, stricter than encoding/json does: no invalid UTF-8, no half surrogate pairs, no key
// twice in one object, no deep nesting. All readers of one message must understand the same. It copies nothing but texts with
// escapes in them. A scanner is for one text and one goroutine.
type scanner struct {
	s     string
	pos   int
	depth int
	most  int      // depth that is read; 0 = maxDepth
	float bool     // numbers must be in the range of a float64
	keys  []string // the keys seen so far of all objects that are open
}

// CheckJSON returns an error for people unless text is one JSON value that all readers understand in the same way: by the
// scanner's rules, and without a number that is out of a float64's range.
func CheckJSON(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("it is not valid UTF-8")
	}
	s := scanner{s: string(text), float: true}
	_, err := s.value()
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return errors.New(err.Detail)
	}
	return nil
}

// fail returns the error of the value that is being read, with its place in bytes, because a body has no lines.
func (s *scanner) fail(reason, format string, args ...any) *DecodeError {
	return &DecodeError{Reason: reason, Detail: fmt.Sprintf(format, args...) + fmt.Sprintf(" at byte %d", s.pos)}
}

// space skips the white space that JSON allows between its tokens: RFC 8259, section 2.
func (s *scanner) space() {
	for s.pos < len(s.s) {
		switch s.s[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// value reads one value and the space before it.
func (s *scanner) value() (value, *DecodeError) {
	s.space()
	if s.pos == len(s.s) {
		return value{}, s.fail(ReasonNotJSON, "the text ends where a value should be")
	}
	switch c := s.s[s.pos]; {
	case c == '"':
		v, err := s.text()
		return value{text, v}, err
	case c == '{':
		start := s.pos
		err := s.object(nil)
		return value{object, s.s[start:s.pos]}, err
	case c == '[':
		start := s.pos
		err := s.array(nil)
		return value{array, s.s[start:s.pos]}, err
	case c == '-' || isDigit(c):
		return s.number()
	case c == 't':
		return value{boolean, "true"}, s.literal("true")
	case c == 'f':
		return value{boolean, "false"}, s.literal("false")
	case c == 'n':
		return value{null, "null"}, s.literal("null")
	}
	return value{}, s.fail(ReasonNotJSON, "no value starts with %q", s.s[s.pos])
}

// object reads an object and calls field with each member; field may be nil.
func (s *scanner) object(field func(key string, v value)) *DecodeError {
	if err := s.enter(); err != nil {
		return err
	}
	first := len(s.keys)
	var seen map[string]struct{} // instead of s.keys once they are many
	for s.space(); !s.take('}'); s.space() {
		if n := len(s.keys) - first; n > 0 && !s.take(',') {
			return s.fail(ReasonNotJSON, "expected , or } in an object")
		}
		s.space()
		if s.pos == len(s.s) || s.s[s.pos] != '"' {
			return s.fail(ReasonNotJSON, "expected a key in an object")
		}
		key, err := s.text()
		if err != nil {
			return err
		}
		if seen, err = s.once(first, key, seen); err != nil {
			return err
		}
		s.space()
		if !s.take(':') {
			return s.fail(ReasonNotJSON, "expected : after a key")
		}
		v, err := s.value()
		if err != nil {
			return err
		}
		if field != nil {
			field(key, v)
		}
	}
	s.keys = s.keys[:first]
	s.depth--
	return nil
}

// once notes key, and rejects it the second time in the object whose keys start at first.
func (s *scanner) once(first int, key string, seen map[string]struct{}) (map[string]struct{}, *DecodeError) {
	const few = 32
	here := s.keys[first:]
	twice := false
	if len(here) <= few {
		for _, k := range here {
			twice = twice || k == key
		}
	} else {
		if seen == nil {
			seen = make(map[string]struct{}, 4*few)
			for _, k := range here {
				seen[k] = struct{}{}
			}
		}
		_, twice = seen[key]
		seen[key] = struct{}{}
	}
	if twice {
		return nil, s.fail(ReasonDuplicateKey, "the key %s stands twice in one object", quoted(key))
	}
	s.keys = append(s.keys, key)
	return seen, nil
}

// array reads an array and calls each with each element; each may be nil.
func (s *scanner) array(each func(v value)) *DecodeError {
	if err := s.enter(); err != nil {
		return err
	}
	s.space()
	for n := 0; !s.take(']'); n++ {
		if n > 0 && !s.take(',') {
			return s.fail(ReasonNotJSON, "expected , or ] in an array")
		}
		v, err := s.value()
		if err != nil {
			return err
		}
		if each != nil {
			each(v)
		}
		s.space()
	}
	s.depth--
	return nil
}

// enter steps over { or [.
func (s *scanner) enter() *DecodeError {
	most := s.most
	if most == 0 {
		most = maxDepth
	}
	if s.depth >= most {
		return s.fail(ReasonTooDeep, "nested deeper than %d", most)
	}
	s.depth++
	s.pos++
	return nil
}

func (s *scanner) take(c byte) bool {
	if s.pos < len(s.s) && s.s[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

func (s *scanner) literal(want string) *DecodeError {
	if len(s.s)-s.pos < len(want) || s.s[s.pos:s.pos+len(want)] != want {
		return s.fail(ReasonNotJSON, "expected %s", want)
	}
	s.pos += len(want)
	return nil
}

// number reads a number of any length. The caller that needs its value checks its bounds.
func (s *scanner) number() (value, *DecodeError) {
	start := s.pos
	s.take('-')
	if !s.take('0') && !s.digits() {
		return value{}, s.fail(ReasonNotJSON, "expected a digit")
	}
	if s.take('.') && !s.digits() {
		return value{}, s.fail(ReasonNotJSON, "expected a digit behind the decimal point")
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		if !s.digits() {
			return value{}, s.fail(ReasonNotJSON, "expected a digit in the exponent")
		}
	}
	literal := s.s[start:s.pos]
	if s.float {
		if _, err := strconv.ParseFloat(literal, 64); err != nil {
			key := "the body"
			if n := len(s.keys); n > 0 {
				key = quoted(s.keys[n-1])
			}
			return value{}, s.fail(ReasonNotJSON, "the number %.40s of %s is out of range", literal, key)
		}
	}
	return value{number, literal}, nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.s) && isDigit(s.s[s.pos]) {
		s.pos++
	}
	return s.pos > start
}
