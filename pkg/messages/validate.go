package messages

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits of the contract. Lengths are in characters. They hold for reading and for writing.
const (
	MaxBody          = 64 << 10 // bytes of one body
	MaxLines         = 100      // lines of one order
	MaxQuantity      = 1000     // of one line, at least 1
	MaxIDLength      = 128      // order_id, user_id, payment_id, payment_method
	MaxSKULength     = 64
	MaxCodeLength    = 64 // kind
	MaxReasonLength  = 256
	MaxMessageLength = 4000
	MaxEmailLength   = 254
	MaxTitleLength   = 200       // of a product
	MaxCount         = 1<<53 - 1 // of pieces, and of versions: the largest whole number that every JSON reader keeps exact
)

// FieldError is one broken rule of a body. Validate joins one for each.
type FieldError struct {
	Field string // as on the wire: "order_id", "items[2].quantity"
	Rule  string // the rule that is broken: "must be at least 1"
	Err   error  // the cause where there is one, e.g. ErrAmountPrecision
}

func (e *FieldError) Error() string { return e.Field + " " + e.Rule }

func (e *FieldError) Unwrap() error { return e.Err }

// problems collects broken rules. A message is checked whole, so that its producer reads all problems at once.
type problems []error

func (p *problems) add(field, format string, args ...any) {
	*p = append(*p, &FieldError{Field: field, Rule: fmt.Sprintf(format, args...)})
}

func (p *problems) wrap(field string, err error) {
	*p = append(*p, &FieldError{Field: field, Rule: err.Error(), Err: err})
}

// within puts the field's path in front of the name of every problem found since mark.
func (p problems) within(mark int, path string) {
	for _, err := range p[mark:] {
		if f, ok := err.(*FieldError); ok { //nolint:errorlint // every problem is one, unwrapped
			f.Field = path + f.Field
		}
	}
}

func (p problems) join() error { return errors.Join(p...) }

// CheckID checks an identifier as Validate does. The error is a text for the reader, without the id.
func CheckID(s string) error {
	var p problems
	p.id("", s)
	if len(p) == 0 {
		return nil
	}
	return errors.New(p[0].(*FieldError).Rule)
}

// id checks an identifier: printable, so it can be logged, put in a header and in an address.
func (p *problems) id(field, s string) { p.name(field, s, MaxIDLength) }

// name checks an identifier of at most so many characters. Ids occur in headers, log lines, file names and the paths of URLs.
// A control character, a space at an end, "." and ".." are therefore rejected.
func (p *problems) name(field, s string, most int) {
	switch {
	case s == "":
		p.add(field, "is required")
	case !utf8.ValidString(s):
		p.add(field, "must be valid UTF-8")
	case utf8.RuneCountInString(s) > most:
		p.add(field, "must have at most %d characters", most)
	case !printable(s):
		p.add(field, "must have no control or other invisible characters")
	case s[0] == ' ' || s[len(s)-1] == ' ':
		p.add(field, "must not start or end with a space")
	case s == "." || s == "..":
		p.add(field, "must not be %q: it could not stand in an address", s)
	}
}

// optional checks an identifier that may be missing.
func (p *problems) optional(field, s string) {
	if s != "" {
		p.id(field, s)
	}
}

// printable reports whether s has only characters that leave a mark, and spaces.
func printable(s string) bool {
	for _, r := range s {
		if r < utf8.RuneSelf {
			if r < ' ' || r == 0x7f {
				return false
			}
		} else if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// money checks an amount against its currency and the least number of minor units. An unknown currency is a problem of the
// field currency, which all amounts of a message share.
func (p *problems) money(field string, m Money, least int64) {
	if err := m.Validate(); err != nil {
		if errors.Is(err, ErrCurrency) {
			field = "currency"
		}
		p.wrap(field, err)
		return
	}
	if m.Minor < least {
		p.add(field, "must be more than 0")
	}
}

// moneyUnlessItems checks an amount that may be missing when there are items, whose prices are in the catalogue. A missing amount
// is 0.
func (p *problems) moneyUnlessItems(field string, m Money, has bool, items []Item, least int64) {
	switch {
	case has:
		p.money(field, m, least)
	case len(items) == 0:
		p.add(field, "is required when there are no items")
	case m.Minor != 0:
		p.add(field, "must be 0 when it is not given")
	default:
		p.money(field, m, 0)
	}
}

// text checks text for people. Line breaks and tabs are allowed where it may have several lines.
func (p *problems) text(field, s string, most int, lines bool) {
	switch {
	case strings.TrimSpace(s) == "":
		p.add(field, "is required")
	case !utf8.ValidString(s):
		p.add(field, "must be valid UTF-8")
	case utf8.RuneCountInString(s) > most:
		p.add(field, "must have at most %d characters", most)
	default:
		for _, r := range s {
			if unicode.IsControl(r) && (!lines || (r != '\n' && r != '\r' && r != '\t')) {
				p.add(field, "must have no control characters")
				return
			}
		}
	}
}

// title checks the name of a product: one line. A blank one is valid, because the catalogue accepts it.
func (p *problems) title(field, s string) {
	switch {
	case s == "":
		p.add(field, "is required")
	case !utf8.ValidString(s):
		p.add(field, "must be valid UTF-8")
	case utf8.RuneCountInString(s) > MaxTitleLength:
		p.add(field, "must have at most %d characters", MaxTitleLength)
	case strings.ContainsFunc(s, unicode.IsControl):
		p.add(field, "must have no control characters")
	}
}

// count checks a number of things.
func (p *problems) count(field string, n int64) {
	if n < 0 || n > MaxCount {
		p.add(field, "must be a whole number from 0 to %d", int64(MaxCount))
	}
}

// code checks an optional machine-readable word such as a notification's kind. Words that this version does not have are
// accepted: v1 may gain some.
func (p *problems) code(field, s string) {
	if len(s) > MaxCodeLength {
		p.add(field, "must have at most %d characters", MaxCodeLength)
		return
	}
	for i := range len(s) {
		if c := s[i]; c != '_' && !isDigit(c) && (c < 'a' || c > 'z') {
			p.add(field, "must have only a-z, 0-9 and _")
			return
		}
	}
}

// channel checks that the notification can be sent: a later version may add channels, and this one sends emails only.
func (p *problems) channel(field, s string) {
	if s != ChannelEmail {
		p.add(field, "must be %q", ChannelEmail)
	}
}

// requiredCode checks a machine-readable word that must be there.
func (p *problems) requiredCode(field, s string) {
	if s == "" {
		p.add(field, "is required")
	}
	p.code(field, s)
}

// email checks the form of an optional address. Only sending an email shows whether the mailbox exists.
func (p *problems) email(field, s string) {
	if s != "" && !plausibleEmail(s) {
		p.add(field, "must be an email address")
	}
}

// plausibleEmail reports whether an address has the form of RFC 5321 that mail servers accept without quotes. It rejects line
// breaks and separators, which could add headers or recipients to an email.
func plausibleEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 || utf8.RuneCountInString(s) > MaxEmailLength || !utf8.ValidString(s) || !printable(s) {
		return false
	}
	local, domain := s[:at], s[at+1:]
	if strings.ContainsAny(local, " @<>()[],;:\\\"") || local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				return false
			}
		}
	}
	return true
}

// items checks the lines of an order priced in currency. A sku may occur on one line only: two lines can mean more units or be a
// mistake, and a reader cannot distinguish these.
func (p *problems) items(items []Item, currency string) {
	if len(items) > MaxLines {
		p.add("items", "must have at most %d lines", MaxLines)
		return
	}
	for i, it := range items {
		mark := len(*p)
		p.name("sku", it.SKU, MaxSKULength)
		for j := range i {
			if it.SKU != "" && items[j].SKU == it.SKU {
				p.add("sku", "must not repeat items[%d].sku: put them on one line", j)
			}
		}
		if it.Quantity < 1 || it.Quantity > MaxQuantity {
			p.add("quantity", "must be a whole number from 1 to %d", MaxQuantity)
		}
		if it.UnitPrice != nil {
			if it.UnitPrice.Currency != currency {
				p.wrap("unit_price", fmt.Errorf("%w: %s in an order in %s", ErrCurrencyMismatch, *it.UnitPrice, quoted(currency)))
			} else {
				p.money("unit_price", *it.UnitPrice, 0)
			}
		}
		if len(*p) > mark {
			p.within(mark, "items["+strconv.Itoa(i)+"].")
		}
	}
}
