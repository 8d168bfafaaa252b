package messages

import (
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a JSON string and returns its content.
func (s *scanner) text() (string, *DecodeError) {
	s.pos++
	start := s.pos
	for s.pos < len(s.s) {
		switch c := s.s[s.pos]; {
		case c == '"':
			s.pos++
			return s.s[start : s.pos-1], nil
		case c == '\\':
			return s.escapedText(start)
		case c < ' ':
			return "", s.fail(ReasonNotJSON, "a control character that is not escaped")
		}
		s.pos++
	}
	return "", s.fail(ReasonNotJSON, "a text without end")
}

// escapedText reads the rest of a text from its first backslash on. Only such a text is copied.
func (s *scanner) escapedText(start int) (string, *DecodeError) {
	out := append(make([]byte, 0, s.pos-start+32), s.s[start:s.pos]...)
	for s.pos < len(s.s) {
		c := s.s[s.pos]
		switch {
		case c == '"':
			s.pos++
			return string(out), nil
		case c < ' ':
			return "", s.fail(ReasonNotJSON, "a control character that is not escaped")
		case c != '\\':
			out = append(out, c)
			s.pos++
			continue
		}
		r, err := s.escape()
		if err != nil {
			return "", err
		}
		out = utf8.AppendRune(out, r)
	}
	return "", s.fail(ReasonNotJSON, "a text without end")
}

// escape reads one escape sequence, a surrogate pair as one.
func (s *scanner) escape() (rune, *DecodeError) {
	s.pos++
	if s.pos == len(s.s) {
		return 0, s.fail(ReasonNotJSON, "a text without end")
	}
	c := s.s[s.pos]
	s.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		r, ok := s.hex4()
		if ok && utf16.IsSurrogate(r) {
			low := rune(-1)
			if s.take('\\') && s.take('u') {
				low, _ = s.hex4()
			}
			r = utf16.DecodeRune(r, low)
			ok = r != utf8.RuneError
		}
		if ok {
			return r, nil
		}
	}
	return 0, s.fail(ReasonNotJSON, "a bad escape sequence")
}

func (s *scanner) hex4() (rune, bool) {
	if len(s.s)-s.pos < 4 {
		return -1, false
	}
	var r rune
	for _, c := range []byte(s.s[s.pos : s.pos+4]) {
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return -1, false
		}
	}
	s.pos += 4
	return r, true
}
