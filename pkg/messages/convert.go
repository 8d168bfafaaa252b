package messages

import (
	"errors"
	"fmt"
	"time"
)

// body is the top level of a message as read. Its values are parts of source, so it copies nothing.
type body struct {
	f       [fieldCount]value
	source  string // the JSON text
	limits  limits
	wrapped bool // it has the member specversion, as a CloudEvent in structured mode has
}

// set keeps a member that some event has, and ignores all others. null is the same as absent.
func (b *body) set(key string, v value) {
	f := fieldOf(key)
	if f < 0 {
		b.wrapped = b.wrapped || key == "specversion"
		return
	}
	if v.kind != null {
		b.f[f] = v
	}
}

// converter makes Go values of a body's fields, and notes the fields that cannot be converted. An absent field becomes a zero
// value: Validate reports the fields that are required. A field that its event does not have is never converted.
type converter struct {
	*body
	currency string
	problems problems
}

// err returns the problems of all fields as one DecodeError, nil without any. An unknown currency has a reason of its own.
func (c *converter) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	err := c.problems.join()
	reason := ReasonInvalidMessage
	if errors.Is(err, ErrCurrency) {
		reason = ReasonUnknownCurrency
	}
	return &DecodeError{reason, oneLine(err)}
}

// mismatch notes a value of the wrong kind. It names both kinds, for the producer who reads the dead letter.
func (c *converter) mismatch(field string, v value, want string) {
	c.problems.add(field, "must be %s, not %s", want, v.kind)
}

// text reads a text. It rejects a number, because its digits could be a different text for another reader: 1.0 or 1.
func (c *converter) text(f int) string {
	v := c.f[f]
	switch v.kind {
	case absent:
		return ""
	case text:
		return v.s
	}
	c.mismatch(fieldName(f), v, "text")
	return ""
}

// lenientCode reads a code. A value that breaks the rules of a code counts as absent.
func (c *converter) lenientCode(f int) string {
	var p problems
	if p.code("", c.f[f].s); c.f[f].kind != text || len(p) > 0 {
		return ""
	}
	return c.f[f].s
}

// channel reads the channel. An absent one means email, which is the only channel of version 1.
func (c *converter) channel(f int) string {
	if s := c.text(f); s != "" {
		return s
	}
	return ChannelEmail
}

// id reads an id of the message: text, or an integer.
func (c *converter) id(f int) string { return c.idOf(fieldName(f), c.f[f]) }

// idOf reads an id: text, or an integer of any size, digit by digit.
func (c *converter) idOf(field string, v value) string {
	switch v.kind {
	case absent, null:
		return ""
	case text:
		return v.s
	case number:
		id, ok := IDOfNumber(v.s)
		if !ok {
			c.problems.add(field, "must be text or a whole number, not %s", quoted(v.s))
		}
		return id
	}
	c.mismatch(field, v, "text or a whole number")
	return ""
}

// IDOfNumber returns the id that a JSON number is: its digits, of any number. It reports false for a number with a
// fraction or an exponent, such as 42.0, because a float is no id.
func IDOfNumber(literal string) (string, bool) {
	switch {
	case !integer(literal):
		return "", false
	case literal == "-0":
		return "0", true
	}
	return literal, true
}

// integer reports whether a JSON number is written without fraction and exponent.
func integer(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

// money reads an amount in the message's currency, and whether there is one. Without one the amount is 0.
func (c *converter) money(f int) (Money, bool) {
	m, ok := c.moneyOf(fieldName(f), c.f[f])
	if !ok {
		m = Money{Currency: c.code()}
	}
	return m, ok
}

// required reads an amount that the event must have.
func (c *converter) required(f int) Money {
	m, ok := c.money(f)
	if !ok && c.f[f].kind == absent {
		c.problems.add(fieldName(f), "is required")
	}
	return m
}

// moneyOf reads an amount of major units, as a number or as text, and reports whether there is one. It rounds the noise of
// floats, and rejects any other amount that the currency cannot have. An unknown currency is noted once, by code: then no
// amount of the message can be read.
func (c *converter) moneyOf(field string, v value) (Money, bool) {
	switch v.kind {
	case absent, null:
		return Money{}, false
	case number, text:
	default:
		c.mismatch(field, v, "a decimal number")
		return Money{}, false
	}
	currency := c.code()
	if currency == "" {
		return Money{}, false
	}
	m, err := ParseMoney(v.s, currency)
	if err != nil {
		c.problems.wrap(field, err)
		return Money{}, false
	}
	return m, true
}

// code returns the message's currency, "" when it names an unknown one.
func (c *converter) code() string {
	if c.currency != "" {
		return c.currency
	}
	v := c.f[fCurrency]
	switch {
	case v.kind == absent || (v.kind == text && v.s == ""):
		c.currency = DefaultCurrency
		return c.currency
	case v.kind != text:
		c.mismatch("currency", v, "text")
	default:
		if code, ok := ParseCurrency(v.s); ok {
			c.currency = code
			return code
		}
		c.problems.wrap("currency", fmt.Errorf("%s is %w", quoted(v.s), ErrCurrency))
	}
	c.f[fCurrency] = value{} // said once
	c.currency = DefaultCurrency
	return ""
}

// ParseCurrency returns the ISO 4217 code that s is in upper or lower case, and false for an unknown one. An empty text
// is DefaultCurrency.
func ParseCurrency(s string) (string, bool) {
	if s == "" {
		return DefaultCurrency, true
	}
	code := upper(s)
	_, known := Exponent(code)
	return code, known
}

// upper returns s with ASCII letters in upper case.
func upper(s string) string {
	for i := range len(s) {
		if 'a' <= s[i] && s[i] <= 'z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if 'a' <= b[j] && b[j] <= 'z' {
					b[j] -= 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// count reads a whole number that the event must have, however it is written.
func (c *converter) count(f int) int64 {
	v := c.f[f]
	switch v.kind {
	case absent:
		c.problems.add(fieldName(f), "is required")
	case number:
		if n, ok := WholeNumber(v.s); ok {
			return n
		}
		c.problems.add(fieldName(f), "must be a whole number from 0 to %d, not %s", int64(MaxCount), quoted(v.s))
	default:
		c.mismatch(fieldName(f), v, "a whole number")
	}
	return 0
}

// timestamp reads the body's time, and reports false when there is none. A time that cannot be read is a problem of the message:
// the producer meant a time, and the record's own time must not replace it.
func (c *converter) timestamp() (time.Time, bool) {
	v := c.f[fTimestamp]
	if t, ok := timeOf(v); ok {
		return t, true
	}
	switch v.kind {
	case absent:
	case array:
		c.problems.add("timestamp", "must be [year, month, day, hour, minute, second, nanosecond] as an array, not %s", quoted(v.s))
	case number, text:
		if v.s != "" {
			c.problems.add("timestamp", "must be a date and time of RFC 3339, or seconds since 1970, not %s", quoted(v.s))
		}
	default:
		c.mismatch("timestamp", v, "text or a number")
	}
	return time.Time{}, false
}

// timeOf reads a member as a time, in every notation that the contract has. It reports false for any other value, also
// for an absent one.
func timeOf(v value) (time.Time, bool) {
	switch v.kind {
	case array:
		return parseParts(v.s)
	case number, text:
		return ParseTime(v.s)
	}
	return time.Time{}, false
}
