package windows

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// oddTimes, oddAmounts and so on are what readers of JSON in two languages may understand differently.
func oddTimes() []string {
	return []string{
		`"2026-03-01T12:00:01Z"`, `"2026-03-01T12:00:01.9999999999Z"`, `"2026-03-01T12:00:01,5Z"`, `"2026-03-01 12:00:01"`,
		`"2026-03-01T12:00:01"`, `"2026-03-01 14:00:01+02:00"`, `"2026-03-01T14:00:01+0200"`, `"2026-03-01T12:00:01+2:00"`,
		`"2026-03-01T5:00:01.5Z"`, `"2026-03-01T12:00:61Z"`, `"2026-02-30T12:00:01Z"`, `"2024-02-29T12:00:01Z"`, `"2026-03-01T24:00:00Z"`,
		`"2026-03-01t12:00:01z"`, `"2026-03-01T12:00:01+24:00"`, `"2026-03-01T12:00:01+25:00"`, `"2026-03-01T12:00:01-00:60"`,
		`"2026-03-01T12:00:60Z"`, `"2026-03-01 12:00:60.5 utc"`, `"2026-03-01 12:00:01 UTC"`, `"2026-03-01 5:00:01 GMT"`, `"2026-03-01 14:00:01 +0200"`,
		`"2026-03-01 12:00:01.25+00"`, `"2026-03-01T12:00:01,5z"`, `"2026-03-01 12:00:01,5 +02:00"`, `"2026-03-01 12:00:01 "`, `"2026-03-01 12:00:01  UTC"`,
		`"2026-03-01 12:00:01 PST"`, `"2026-03-01T12:00:60.9-00:30"`, `"2026-03-01T12:00:61 UTC"`, `"2026-03-01 12:00:601Z"`, `"2026-03-01T12:00:01+0"`, `"2026-03-01T12:60:01Z"`,
		`"2026-03-01T12:00Z"`, `"2026-03-01"`, `" 2026-03-01T12:00:01Z"`, `"0001-01-01T00:00:00Z"`, `"0001-01-01T00:00:00.001Z"`,
		`"0000-06-01T00:00:00Z"`, `"9999-12-31T23:59:59-01:00"`, `"1969-12-31T23:59:59.9Z"`, `"1772366401"`, `"1772366401.25"`,
		`1772366401`, `1772366401.2599`, `1.7723664019999e9`, `1772366401000`, `1772366401000.5`, `1772366401000000`, `1772366401000000000`,
		`17723664010000000000`, `177236640100000000000`, `1e11`, `99999999999`, `99999999999.9999`, `1e400`, `1e401`, `-1`, `-0`, `0`, `0.0001`,
		`007`, `1.`, `"٣"`, `"1e3"`, `"+5"`, `"0x10"`, `true`, `null`, `[]`, `{}`, `""`, `1e-400`, `0.00000000000000000000000000000000000001`,
	}
}

func oddAmounts() []string {
	return []string{
		`1`, `1.5`, `1.50`, `1.500`, `1.501`, `"2.75"`, `2e1`, `2E+1`, `25e-1`, `0`, `-0`, `-0.0`, `-0.0000001`, `-1`, `0.1`, `0.30000000000000004`,
		`0.29999999999999998`, `19.990000001`, `19.99000001`, `19.990000011`, `19.98999999`, `19.989999`, `9999999999.99`, `9999999999.991`,
		`9999999999.9999999999`, `10000000000`, `123456789012345678901`, `1e300`, `1e-300`, `1e-401`, `"much"`, `"1,5"`, `" 1"`, `""`, `"٣"`, `"1."`,
		`".5"`, `"00.5"`, `true`, `{}`, `[1]`, `0.000000000000000000000000000000000000000000000000000000000000001`,
		`0.0000000000000000000000000000000000000000000000000000000000000001`,
	}
}

func oddCurrencies() []string {
	return []string{`"USD"`, `"JPY"`, `"KWD"`, `"CLF"`, `"usd"`, `"XXX"`, `""`, `null`, `5`, `"EUR"`, `"EUR "`}
}

func oddNames() []string {
	return []string{
		`"a"`, `"größe"`, `"日本"`, `"😀"`, `"\ud83d\ude00"`, `"\ud800"`, `"\udc00x\ud800"`, `"a\u0000b"`, `"a\u007fb"`, `"a\u0085b"`, `"a\u00a0b"`,
		`"a\u200bb"`, `"a\nb"`, `" "`, `""`, `5`, `null`, `["a"]`, `"` + strings.Repeat("x", 100) + `"`, `"` + strings.Repeat("x", 101) + `"`,
		`"` + strings.Repeat("é", 50) + `"`, `"` + strings.Repeat("é", 51) + `"`, `"a\u2028b"`, `"\"quoted\\"`, `"\/"`,
	}
}

func oddValues() []string {
	return []string{
		"", "null", "[]", "5", `"text"`, "oops", "{", `{"event":"a"} {}`, `{"event":"a"}x`, " \t\r\n{\"event\":\"a\"} \n", "\ufeff{\"event\":\"a\"}",
		"{\"event\":\"a\xff\"}", "{\"event\":\"a\xed\xa0\x80\"}", `{"event":"a","event":"b"}`, `{"event":"a","amount":NaN}`, `{"event":"a","amount":Infinity}`,
		`{"event":"a","amount":-Infinity}`, `{"event":"a\q"}`, "{\"event\":\"a\tb\"}", `{'event':'a'}`, `{"event":"a",}`, `{"event":"\u12"}`, `{"Event":"a","EVENT":"b"}`,
		`{"event":"a","n":` + strings.Repeat("9", 5000) + `}`, `{"event":"a","n":` + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + `}`,
		`{"event":"a","n":01}`, `{"event":"a","n":1.}`, `{"event":"a","n":-}`, `{"event":"a","n":+1}`, `{"event":"a","n":1e5}`, `{"event":"a" /* c */}`, "\x00", "{}",
		"{\"event\":\"a\"}\u00a0", "\u2003{}", `{"event":"a","timestamp":1772366401,"timestamp":5}`, `{"a":1,"a":{"event":"x"},"event":"odd"}`,
	}
}

// oddMixtures returns n odd values: every odd part at least once, then mixtures.
func oddMixtures(n int) []string {
	random := rand.New(rand.NewPCG(9, 0))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	var values []string
	values = append(values, oddValues()...)
	for _, at := range oddTimes() {
		values = append(values, `{"event":"time","timestamp":`+at+`}`)
	}
	for _, amount := range oddAmounts() {
		for _, currency := range oddCurrencies() {
			values = append(values, `{"event":"amount","amount":`+amount+`,"currency":`+currency+`}`)
		}
	}
	for _, name := range oddNames() {
		values = append(values, `{"event":`+name+`}`)
	}
	for len(values) < n {
		values = append(values, fmt.Sprintf(`{"event": %s, "timestamp":%s,"%s": %s,"currency":%s}`, pick(oddNames()), pick(oddTimes()),
			pick([]string{"amount", "total", "AMOUNT"}), pick(oddAmounts()), pick(oddCurrencies())))
	}
	return values
}

// oddHeaders returns a record's headers, none in most cases.
func oddHeaders(random *rand.Rand) []kgo.RecordHeader {
	var headers []kgo.RecordHeader
	for random.IntN(3) == 0 {
		key := []string{"ce_type", "ce_time", "content-type", "Content-Type", "CE_TYPE", "trace"}[random.IntN(6)]
		values := []string{"", " ", "\xff", "?", "a", "pasdetrois.order_placed.v1", "pasdetrois.payment_captured.v1", "pasdetrois.order_placed.v2",
			"PASDETROIS.order_placed.v1", "pasdetrois.", "com.example.order", strings.Repeat("x", 128), strings.Repeat("x", 129), strings.Repeat("x", 600),
			"2026-03-01T12:00:01Z", "2026-03-01 12:00:01 utc", "1772366401", "yesterday", "application/json", "application/cloudevents+json",
			" Application/CloudEvents+JSON ; charset=utf-8", "application/cloudevents-batch+json", "application/cloudevents+json;;"}
		headers = append(headers, kgo.RecordHeader{Key: key, Value: []byte(values[random.IntN(len(values))])})
	}
	return headers
}
