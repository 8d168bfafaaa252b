package messages_test

import (
	"strings"
	"testing"

	"pasdetrois/pkg/messages"
)

func TestShownKeepsPlainIDs(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"4711", "ord-1001", "01a1fcf9-86cc-799b-8b8b-a86d9314810d", "shop:2026.11.30:7", "A_b.1", "x", strings.Repeat("7", 128)} {
		if got := messages.Shown(id); got != id {
			t.Errorf("%q is shown as %q", id, got)
		}
	}
}

// What a stranger wrote is quoted and short, and neither Gmail, Outlook nor Apple Mail finds a link in it: each of them makes
// one of a scheme, of www., and of any host name whose last label is a domain of today.
func TestShownQuotesWhateverIsNoPlainID(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"4711 could not be paid. Please pay again at http://pay.evil.example/4711 or it": `"4711 could not be paid· …"`,
		"http://evil.example":      `"http·//evil·example"`,
		"www.evil.example":         `"www·evil·example"`,
		"evil.example:8080":        `"evil·example·8080"`,
		"mallory@evil.example":     `"mallory·evil·example"`,
		`" is void. Call "`:        `"· is void· Call ·"`,
		"a\r\nBcc: m@example.org":  `"a·Bcc· m·example·org"`,
		"注文 1001":                  `"注文 1001"`,
		"évil。example":             `"évil·example"`,
		"evil\u202emoc.elpmaxe":    `"evil·moc·elpmaxe"`,
		"2026/1001":                `"2026/1001"`,
		"\xff\xfe":                 `"·"`,
		"":                         `""`,
		strings.Repeat("7", 129):   `"` + strings.Repeat("7", 24) + `…"`,
		strings.Repeat("é", 24):    `"` + strings.Repeat("é", 24) + `"`,
		strings.Repeat("é", 25):    `"` + strings.Repeat("é", 24) + `…"`,
		"<a href=//evil>click</a>": `"·a href·//evil·click·/a·"`,
	} {
		if got := messages.Shown(in); got != want {
			t.Errorf("%q is shown as %s, not as %s", in, got, want)
		}
	}
}

func FuzzShown(f *testing.F) {
	f.Add("4711")
	f.Add("a. b\"c\x00")
	f.Fuzz(func(t *testing.T, s string) {
		got := messages.Shown(s)
		if got == s {
			return
		}
		inner, quoted := strings.CutPrefix(got, `"`)
		inner, ended := strings.CutSuffix(inner, `"`)
		if !quoted || !ended || len([]rune(inner)) > 25 || strings.ContainsAny(inner, ".:@\"\\<>\r\n\t\x00") {
			t.Errorf("%q is shown as %s", s, got)
		}
	})
}
