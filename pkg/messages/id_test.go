package messages_test

import (
	"regexp"
	"testing"

	"pasdetrois/pkg/messages"
)

// The ids are part of the contract: they were computed by Python's uuid.uuid5 as well.
func TestIDsAreTheSameForEver(t *testing.T) {
	t.Parallel()
	for _, c := range [][4]string{
		{"ord-1", "order_placed", "placed", "7d42091d-d6ca-5d3b-aada-288145e0d0ee"},
		{"ünï", "payment_requested", "reserve", "6ea5c8b8-1ab9-58d3-b960-1b7f2c1b0a92"},
	} {
		if got := messages.ID(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("ID(%q, %q, %q) = %s, want %s", c[0], c[1], c[2], got, c[3])
		}
	}
}

func TestIDsOfDifferentDecisionsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string][3]string{}
	for _, c := range [][3]string{{"a", "b", "c"}, {"ab", "", "c"}, {"a", "bc", ""}, {"a", "b", ""}, {"a", "", "b"}, {"", "a", "b"}, {"abc", "", ""}} {
		id := messages.ID(c[0], c[1], c[2])
		if other, twice := seen[id]; twice {
			t.Errorf("%q and %q have the same id", c, other)
		}
		seen[id] = c
	}
}

func TestNewTraceParentIsWellFormedAndNew(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`)
	seen := map[string]bool{}
	for range 100 {
		p := messages.NewTraceParent()
		if !form.MatchString(p) || seen[p[3:35]] || decodeWith(t, "traceparent", p).TraceParent != p {
			t.Errorf("trace parent %q", p)
		}
		seen[p[3:35]] = true
	}
}
