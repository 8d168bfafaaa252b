package messages_test

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pasdetrois/pkg/messages"
)

func TestMoneyIsReadExactly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, currency string
		minor        int64
		out          string
	}{
		{"49.99", "USD", 4999, "49.99"},
		{"0.29", "USD", 29, "0.29"},
		{"4.35", "USD", 435, "4.35"},
		{"1.005e2", "USD", 10050, "100.50"},
		{"5", "USD", 500, "5.00"},
		{"5.0", "USD", 500, "5.00"},
		{"4.999e1", "USD", 4999, "49.99"},
		{"4999E-2", "USD", 4999, "49.99"},
		{"499900e-4", "USD", 4999, "49.99"},
		{"0.0000000049e10", "USD", 4900, "49.00"},
		{"1e+2", "USD", 10000, "100.00"},
		{"0", "USD", 0, "0.00"},
		{"-0", "USD", 0, "0.00"},
		{"-0.00", "USD", 0, "0.00"},
		{"0e400", "USD", 0, "0.00"},
		{"0.01", "USD", 1, "0.01"},
		{"0.05", "EUR", 5, "0.05"},
		{"120", "JPY", 120, "120"},
		{"120.0", "JPY", 120, "120"},
		{"1.234", "KWD", 1234, "1.234"},
		{"0.001", "BHD", 1, "0.001"},
		{"1.2345", "CLF", 12345, "1.2345"},
		{"9999999999.99", "USD", messages.MaxMinor, "9999999999.99"},
		{"999999999999", "JPY", messages.MaxMinor, "999999999999"},
	} {
		for name, parse := range parsers() {
			m, err := parse(c.in, c.currency)
			if err != nil {
				t.Errorf("%s(%s, %s): %v", name, c.in, c.currency, err)
				continue
			}
			if m.Minor != c.minor || m.Currency != c.currency || m.Decimal() != c.out || m.String() != c.out+" "+c.currency {
				t.Errorf("%s(%s, %s) = %d %s, written %s", name, c.in, c.currency, m.Minor, m.Currency, m.Decimal())
			}
		}
	}
}

func parsers() map[string]func(string, string) (messages.Money, error) {
	return map[string]func(string, string) (messages.Money, error){
		"ParseMoney": messages.ParseMoney, "ParseMoneyStrict": messages.ParseMoneyStrict,
	}
}

// Half a cent is a mistake; a ten-thousandth of a millionth is what 0.1 + 0.2 leaves behind.
func TestFloatNoiseIsRoundedForKafkaAndRefusedForHTTP(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, currency string
		minor        int64 // -1: refused
	}{
		{"0.30000000000000004", "USD", 30},
		{"49.989999999999995", "USD", 4999},
		{"2.9999999999999996", "USD", 300},
		{"0.00000001", "USD", 0},          // 1e-6 of a cent
		{"0.000000011", "USD", -1},        // more
		{"0.0000000100000001", "USD", -1}, // a little more
		{"4.98999999", "USD", 499},        // 1e-6 of a cent below
		{"4.989999989", "USD", -1},        // more
		{"0.99999999", "USD", 100},        // carries over
		{"99.9999999999", "USD", 10000},   // and over
		{"1.000000001", "JPY", 1},         // no decimals at all
		{"1.00001", "JPY", -1},            //
		{"1.0000000001", "KWD", 1000},     //
		{"49.999", "USD", -1},             //
		{"49.9901", "USD", -1},            //
		{"0.005", "USD", -1},              //
		{"1.5", "JPY", -1},                //
		{"0.0001", "KWD", -1},             //
		{"1e-400", "USD", 0},              //
		{"-0.00000000000001", "USD", 0},   // noise around 0
		{"9999999999.990001", "USD", -1},  //
		{"9999999999.99000000001", "USD", messages.MaxMinor},
	} {
		m, err := messages.ParseMoney(c.in, c.currency)
		if c.minor < 0 {
			if !errors.Is(err, messages.ErrAmountPrecision) {
				t.Errorf("ParseMoney(%s, %s) = %v, %v, want refused for its precision", c.in, c.currency, m, err)
			}
		} else if err != nil || m.Minor != c.minor {
			t.Errorf("ParseMoney(%s, %s) = %v, %v, want %d", c.in, c.currency, m, err, c.minor)
		}
		if m, err := messages.ParseMoneyStrict(c.in, c.currency); !errors.Is(err, messages.ErrAmountPrecision) {
			t.Errorf("ParseMoneyStrict(%s, %s) = %v, %v, want refused for its precision", c.in, c.currency, m, err)
		}
	}
}

func TestBadMoneyIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in, currency string
		want         error
	}{
		{"", "USD", messages.ErrAmountSyntax},
		{"abc", "USD", messages.ErrAmountSyntax},
		{"-", "USD", messages.ErrAmountSyntax},
		{"+5", "USD", messages.ErrAmountSyntax},
		{" 5", "USD", messages.ErrAmountSyntax},
		{"5 ", "USD", messages.ErrAmountSyntax},
		{"05", "USD", messages.ErrAmountSyntax},
		{".5", "USD", messages.ErrAmountSyntax},
		{"5.", "USD", messages.ErrAmountSyntax},
		{"5,00", "USD", messages.ErrAmountSyntax},
		{"1_000", "USD", messages.ErrAmountSyntax},
		{"0x10", "USD", messages.ErrAmountSyntax},
		{"5e", "USD", messages.ErrAmountSyntax},
		{"5e+", "USD", messages.ErrAmountSyntax},
		{"5e401", "USD", messages.ErrAmountSyntax},
		{"5e99999999999999999999", "USD", messages.ErrAmountSyntax},
		{"1.2.3", "USD", messages.ErrAmountSyntax},
		{"NaN", "USD", messages.ErrAmountSyntax},
		{"Infinity", "USD", messages.ErrAmountSyntax},
		{"٥", "USD", messages.ErrAmountSyntax},
		{strings.Repeat("1", 65), "USD", messages.ErrAmountSyntax},
		{"-0.01", "USD", messages.ErrAmountNegative},
		{"-49.99", "USD", messages.ErrAmountNegative},
		{"10000000000", "USD", messages.ErrAmountTooLarge},
		{"9999999999.99999999", "USD", messages.ErrAmountTooLarge}, // by rounding
		{"92233720368547758.07", "USD", messages.ErrAmountTooLarge},
		{"184467440737095516.16", "USD", messages.ErrAmountTooLarge}, // 2^64 cents
		{"1e400", "USD", messages.ErrAmountTooLarge},
		{strings.Repeat("9", 64), "USD", messages.ErrAmountTooLarge},
		{"5", "", messages.ErrCurrency},
		{"5", "usd", messages.ErrCurrency},
		{"5", "XXX", messages.ErrCurrency},
		{"5", "XAU", messages.ErrCurrency},
		{"5", "US", messages.ErrCurrency},
		{"5", "USDX", messages.ErrCurrency},
		{"5", "ZZZ", messages.ErrCurrency},
	} {
		for name, parse := range parsers() {
			m, err := parse(c.in, c.currency)
			if name == "ParseMoneyStrict" && errors.Is(err, messages.ErrAmountPrecision) {
				continue
			}
			if !errors.Is(err, c.want) || m != (messages.Money{}) {
				t.Errorf("%s(%q, %q) = %v, %v, want %v", name, c.in, c.currency, m, err, c.want)
			}
		}
	}
}

func TestMoneyArithmeticIsExactOrRefused(t *testing.T) {
	t.Parallel()
	usd := func(n int64) messages.Money { return messages.Money{Minor: n, Currency: "USD"} }
	limit := messages.MaxMinor

	if m, err := usd(1).Add(usd(2)); err != nil || m != usd(3) {
		t.Errorf("1 + 2 = %v, %v", m, err)
	}
	if m, err := usd(limit - 1).Add(usd(1)); err != nil || m != usd(limit) {
		t.Errorf("sum up to the limit = %v, %v", m, err)
	}
	for _, c := range [][2]int64{{limit, 1}, {math.MaxInt64, math.MaxInt64}, {math.MinInt64, -1}, {math.MinInt64, math.MinInt64}} {
		if m, err := usd(c[0]).Add(usd(c[1])); !errors.Is(err, messages.ErrAmountTooLarge) {
			t.Errorf("%d + %d = %v, %v", c[0], c[1], m, err)
		}
	}
	if m, err := usd(1).Add(messages.Money{Minor: 1, Currency: "EUR"}); !errors.Is(err, messages.ErrCurrencyMismatch) {
		t.Errorf("USD + EUR = %v, %v", m, err)
	}

	if m, err := usd(2499).Mul(2); err != nil || m != usd(4998) {
		t.Errorf("2 * 24.99 = %v, %v", m, err)
	}
	if m, err := usd(limit / 1000).Mul(1000); err != nil || m != usd(limit/1000*1000) {
		t.Errorf("product below the limit = %v, %v", m, err)
	}
	if m, err := usd(0).Mul(math.MaxInt); err != nil || !m.IsZero() {
		t.Errorf("0 * max = %v, %v", m, err)
	}
	for _, c := range []struct {
		m int64
		q int
	}{{limit, 2}, {limit/1000 + 1, 1000}, {math.MaxInt64, 1}, {1 << 33, 1 << 31}, {1, math.MaxInt}, {1, math.MinInt}} {
		if m, err := usd(c.m).Mul(c.q); !errors.Is(err, messages.ErrAmountTooLarge) {
			t.Errorf("%d * %d = %v, %v", c.m, c.q, m, err)
		}
	}

	if usd(5).IsZero() || usd(-5).IsZero() || !usd(0).IsZero() {
		t.Error("IsZero is wrong")
	}
	if got := usd(math.MinInt64).Decimal(); got != "-92233720368547758.08" {
		t.Errorf("smallest amount is written %s", got)
	}
	if got := usd(-5).Decimal(); got != "-0.05" {
		t.Errorf("minus five cents are written %s", got)
	}
}

func TestEveryMinorUnitSurvivesWritingAndReading(t *testing.T) {
	t.Parallel()
	for _, currency := range []string{"USD", "JPY", "KWD", "CLF"} {
		for _, n := range []int64{0, 1, 9, 10, 99, 100, 101, 999, 1000, 9999, 10000, 12345, 1 << 32, messages.MaxMinor - 1, messages.MaxMinor} {
			want := messages.Money{Minor: n, Currency: currency}
			got, err := messages.ParseMoneyStrict(want.Decimal(), currency)
			if err != nil || got != want {
				t.Errorf("%s is read as %v, %v", want, got, err)
			}
		}
	}
}

func TestCurrenciesHaveTheirDecimals(t *testing.T) {
	t.Parallel()
	count := map[int]int{}
	var code [3]byte
	for a := range 26 {
		for b := range 26 {
			for c := range 26 {
				code = [3]byte{'A' + byte(a), 'A' + byte(b), 'A' + byte(c)}
				if exp, ok := messages.Exponent(string(code[:])); ok {
					count[exp]++
				}
			}
		}
	}
	if count[0] != 17 || count[3] != 7 || count[4] != 2 || count[2] != 138 || len(count) != 4 {
		t.Errorf("currencies by decimals: %v", count)
	}
	for code, want := range map[string]int{"USD": 2, "EUR": 2, "GBP": 2, "CHF": 2, "JPY": 0, "KRW": 0, "ISK": 0, "CLP": 0,
		"KWD": 3, "BHD": 3, "TND": 3, "CLF": 4, "UYW": 4, "HUF": 2, "XCG": 2, "ZWG": 2, "VED": 2, "SLE": 2} {
		if exp, ok := messages.Exponent(code); !ok || exp != want {
			t.Errorf("%s has %d decimals, %v", code, exp, ok)
		}
	}
	for _, gone := range []string{"DEM", "HRK", "ANG", "BGN", "XAU", "XDR", "XTS", "XXX", "", "usd"} {
		if _, ok := messages.Exponent(gone); ok {
			t.Errorf("%q is taken for a currency", gone)
		}
	}
}

// FuzzParseMoney compares with exact rational arithmetic.
func FuzzParseMoney(f *testing.F) {
	for _, s := range []string{"49.99", "1e2", "0.30000000000000004", "4.98999999", "-0.0000001", "1e-400", "9999999999.99", "00", "1e", "0.000000010"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := messages.ParseMoney(s, "USD")
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatalf("%q is no number but was read as %s", s, m)
		}
		off := new(big.Rat).Sub(want.Mul(want, big.NewRat(100, 1)), new(big.Rat).SetInt64(m.Minor))
		if off.Abs(off).Cmp(big.NewRat(1, 1_000_000)) > 0 {
			t.Fatalf("%q was read as %s, off by %s of a cent", s, m, off.FloatString(12))
		}
		if strict, err := messages.ParseMoneyStrict(s, "USD"); err == nil && (strict != m || off.Sign() != 0) {
			t.Fatalf("%q is %s read tolerantly and %s strictly", s, m, strict)
		}
	})
}
