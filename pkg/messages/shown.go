package messages

import (
	"strings"
	"unicode"
)

// maxShown is the number of characters that Shown keeps of a stranger's text.
const maxShown = 24

// Shown returns an id, or another text that a stranger chose, in a form for our own sentences to people, such as an email. A
// plain id stays as it is: 1 to 128 of A-Z a-z 0-9 . _ : and -, and no part of it a host name.
// Every other text is put in quotation marks, cut after 24 characters, and keeps letters, digits, spaces and _ - / #
// alone. A sentence in an id therefore never reads as our words. Without its dots, colons and @ it becomes no link in a
// mail program, and it cannot end its own quotation.
func Shown(s string) string {
	if plainID(s) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	length, gap := 0, false
	for _, r := range strings.TrimSpace(s) {
		kept := r != unicode.ReplacementChar &&
			(unicode.In(r, unicode.Letter, unicode.Number, unicode.Mark) || strings.ContainsRune(" _-/#", r))
		if !kept && gap {
			continue
		}
		if length == maxShown {
			b.WriteRune('…')
			break
		}
		if gap = !kept; gap {
			r = '·'
		}
		b.WriteRune(r)
		length++
	}
	b.WriteByte('"')
	return b.String()
}

// plainID reports whether s is an id as HTTP clients may choose one, and is not like www.example.com: mail programs turn
// a host name into a link, with or without http:// in front.
func plainID(s string) bool {
	if s == "" || len(s) > MaxIDLength {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if letter && i > 0 && s[i-1] == '.' {
			return false
		}
		if !letter && !isDigit(c) && c != '.' && c != '_' && c != ':' && c != '-' {
			return false
		}
	}
	return true
}
