package messages

import (
	"errors"
	"fmt"
	"strconv"
)

// DefaultCurrency is assumed when a message names none.
const DefaultCurrency = "USD"

// DefaultPaymentMethod is charged for an order or a payment request that names no payment method.
const DefaultPaymentMethod = "pm_card_visa"

// MaxMinor is the largest amount, in minor units: twelve digits, as card networks have for an amount (9,999,999,999.99 in a
// currency with two decimals). Sums and products beyond it are errors, so no arithmetic on valid amounts can overflow. Every
// amount is exact in clients that read JSON numbers as double precision.
const MaxMinor int64 = 999_999_999_999

// The kinds of bad money. Errors of this package's Money functions wrap one of them.
var (
	ErrCurrency         = errors.New("not an ISO 4217 currency code")
	ErrAmountSyntax     = errors.New("not a decimal number")
	ErrAmountNegative   = errors.New("must not be negative")
	ErrAmountPrecision  = errors.New("has more decimals than the currency")
	ErrAmountTooLarge   = errors.New("is too large")
	ErrCurrencyMismatch = errors.New("currencies differ")
)

// Money is an exact amount: Minor units (cents for USD) of an ISO 4217 Currency. The zero value is no money: it has no
// currency.
type Money struct {
	Minor    int64
	Currency string
}

// ParseMoney reads a decimal number such as "49.99" or "4.999e1" exactly. The noise that arithmetic on floats leaves
// behind, within 1e-6 of a minor unit, is rounded: this is the reading for messages from Kafka. Negative amounts, more
// decimals than the currency has and amounts above MaxMinor are errors.
func ParseMoney(decimal, currency string) (Money, error) { return parseMoney(decimal, currency, true) }

// ParseMoneyStrict is ParseMoney without rounding: one digit too many is ErrAmountPrecision. This is the reading for
// HTTP, whose caller can correct it.
func ParseMoneyStrict(decimal, currency string) (Money, error) {
	return parseMoney(decimal, currency, false)
}

func parseMoney(s, currency string, tolerant bool) (Money, error) {
	exp, ok := Exponent(currency)
	if !ok {
		return Money{}, fmt.Errorf("%s %w", quoted(currency), ErrCurrency)
	}
	var d decimal
	if !d.parse(s) {
		return Money{}, fmt.Errorf("%s is %w", quoted(s), ErrAmountSyntax)
	}
	minor, ok := d.whole(exp)
	if !ok {
		return Money{}, fmt.Errorf("%s %s %w", quoted(s), currency, ErrAmountTooLarge)
	}
	if !d.exact(exp) {
		up, noise := d.noise(exp)
		if !tolerant || !noise {
			return Money{}, fmt.Errorf("%s %s %w (%d)", quoted(s), currency, ErrAmountPrecision, exp)
		}
		if up {
			minor++
		}
	}
	if d.neg && minor != 0 {
		return Money{}, fmt.Errorf("%s %s %w", quoted(s), currency, ErrAmountNegative)
	}
	if minor > MaxMinor {
		return Money{}, fmt.Errorf("%s %s %w", quoted(s), currency, ErrAmountTooLarge)
	}
	return Money{Minor: minor, Currency: currency}, nil
}

// noise is for a number that is not a whole number of minor units. It reports whether the number lies within 1e-6 of a whole one,
// and whether that is the one above it.
func (d *decimal) noise(exp int) (up, noise bool) {
	const digits = 6
	zeros, nines := 0, 0
	for i := range digits {
		switch d.at(exp, i) {
		case '0':
			zeros++
		case '9':
			nines++
		}
	}
	switch {
	case zeros == digits:
		return false, true
	case nines == digits:
		return true, true
	}
	// 0.000001 itself is within as well.
	return false, zeros == digits-1 && d.at(exp, digits-1) == '1' && d.n == d.point+exp+digits
}

// Decimal returns the amount as on the wire, with all decimals of its currency: "49.99", "5.00", "120" for JPY.
func (m Money) Decimal() string { return string(m.appendDecimal(nil)) }

func (m Money) appendDecimal(b []byte) []byte {
	exp, _ := Exponent(m.Currency)
	if m.Minor < 0 {
		b = append(b, '-')
	}
	var buf [24]byte
	digits := strconv.AppendUint(buf[:0], magnitude(m.Minor), 10)
	if exp == 0 {
		return append(b, digits...)
	}
	whole := len(digits) - exp
	if whole <= 0 {
		b = append(b, '0')
	} else {
		b = append(b, digits[:whole]...)
		digits = digits[whole:]
	}
	b = append(b, '.')
	for range exp - len(digits) {
		b = append(b, '0')
	}
	return append(b, digits...)
}

// magnitude returns |n|, also of the smallest int64.
func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// String returns "49.99 USD".
func (m Money) String() string { return m.Decimal() + " " + m.Currency }

// IsZero reports whether the amount is 0, in any currency.
func (m Money) IsZero() bool { return m.Minor == 0 }

// Add returns m + o. Two currencies (ErrCurrencyMismatch) and a sum beyond MaxMinor (ErrAmountTooLarge) are errors.
func (m Money) Add(o Money) (Money, error) {
	if m.Currency != o.Currency {
		return Money{}, fmt.Errorf("add %s to %s: %w", o, m, ErrCurrencyMismatch)
	}
	if magnitude(m.Minor) > uint64(MaxMinor) || magnitude(o.Minor) > uint64(MaxMinor) ||
		magnitude(m.Minor+o.Minor) > uint64(MaxMinor) {
		return Money{}, fmt.Errorf("sum of %s and %s %w", m, o, ErrAmountTooLarge)
	}
	return Money{Minor: m.Minor + o.Minor, Currency: m.Currency}, nil
}

// Mul returns quantity times m. A product beyond MaxMinor is an error (ErrAmountTooLarge).
func (m Money) Mul(quantity int) (Money, error) {
	n, q := magnitude(m.Minor), magnitude(int64(quantity))
	if n > uint64(MaxMinor) || (n != 0 && q > uint64(MaxMinor)/n) {
		return Money{}, fmt.Errorf("%d times %s %w", quantity, m, ErrAmountTooLarge)
	}
	return Money{Minor: m.Minor * int64(quantity), Currency: m.Currency}, nil
}

// Validate reports money that no message may carry: an unknown currency, a negative amount, one above MaxMinor.
func (m Money) Validate() error {
	if _, ok := Exponent(m.Currency); !ok {
		return fmt.Errorf("%s %w", quoted(m.Currency), ErrCurrency)
	}
	if m.Minor < 0 {
		return fmt.Errorf("%s %w", m, ErrAmountNegative)
	}
	if m.Minor > MaxMinor {
		return fmt.Errorf("%s %w", m, ErrAmountTooLarge)
	}
	return nil
}

// quoted returns s for an error text: quoted, and cut when it is long.
func quoted(s string) string {
	const most = 60
	if len(s) > most {
		return strconv.QuoteToASCII(s[:most]) + "…"
	}
	return strconv.QuoteToASCII(s)
}
