package domain_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/services/notifications/internal/domain"
)

func TestDefaultAddress(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]string{
		"user-1":      "user-1@example.com",
		"42":          "42@example.com",
		"Ann.B_c":     "Ann.B_c@example.com",
		"a..b":        "a.b-f62b4241@example.com",
		"bob@real.eu": "bob-real.eu-3fa94485@example.com",
		"ünal":        "nal-ee796da8@example.com",
		"李":           "c16667ca@example.com",
	} {
		require.Equal(t, want, domain.DefaultAddress(user), user)
	}
}

func TestDefaultAddressIsAlwaysAnAddressAndNeverShared(t *testing.T) {
	t.Parallel()
	users := []string{"a b", "a-b", "a\r\nBcc: x@example.org", ".a", "a.", "-", "--", "<a>", `"a"`, "a,b", "a;b", "a@b", "@", " ",
		strings.Repeat("x", 64), strings.Repeat("x", 65), strings.Repeat("x", 128), strings.Repeat("x-", 64), strings.Repeat("é", 128)}
	owner := make(map[string]string)
	for _, user := range users {
		to := domain.DefaultAddress(user)
		request := messages.NotificationRequested{UserID: "u", Message: "m", Channel: messages.ChannelEmail, To: to}
		require.NoError(t, request.Validate(), "%q -> %q", user, to)
		require.NotContains(t, owner, to, "%q and %q share an address", user, owner[to])
		owner[to] = user
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	key := func(message, order, kind string) string {
		return domain.New(message, time.Time{}, messages.NotificationRequested{UserID: "u", OrderID: order, Kind: kind}).Key()
	}
	require.Equal(t, messages.ID("o1", messages.EventNotificationRequested, "confirmed"), key("m1", "o1", "confirmed"),
		"an order's notification has the id of the message that our own services send")
	require.Equal(t, key("m1", "o1", "confirmed"), key("m2", "o1", "confirmed"), "the message does not count")
	require.NotEqual(t, key("m1", "o1", "confirmed"), key("m1", "o1", "cancelled"))
	require.NotEqual(t, key("m1", "o1", "confirmed"), key("m1", "o2", "confirmed"))
	require.Equal(t, key("m1", "", ""), key("m1", "", ""))
	require.NotEqual(t, key("m1", "", ""), key("m2", "", ""))
	require.Equal(t, key("m1", "", "confirmed"), key("m1", "o1", ""), "without both, only the message counts")
}

func TestEmail(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	subjects := map[string]string{
		messages.KindConfirmed: "Order 1001 is confirmed", messages.KindRejected: "Order 1001 could not be accepted",
		messages.KindFailed: "Order 1001 has failed", messages.KindCancelled: "Order 1001 is cancelled",
		messages.KindFraudAlert: "Suspected fraud: order 1001", "": "About order 1001", "shipped": "About order 1001",
	}
	for kind, want := range subjects {
		n := domain.New("m1", at, messages.NotificationRequested{UserID: "u1", OrderID: "1001", Kind: kind, Message: "Hello."})
		e := n.Email()
		require.Equal(t, want, e.Subject)
		require.Equal(t, "<"+n.Key()+"@pasdetrois.invalid>", e.MessageID)
		require.Equal(t, "u1@example.com", e.To)
		require.Equal(t, "Hello.", e.Message)
		require.Equal(t, at, e.Date)
	}
	require.Equal(t, "A message from Pas de Trois", domain.New("m1", at, messages.NotificationRequested{UserID: "u1"}).Email().Subject)
}

// The order id comes from a plain Kafka producer: no part of it reads as our words, starts a header or becomes a link.
func TestSubjectShowsAStrangersOrderIDQuotedAndShort(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"4711 could not be paid. Please pay again at http://pay.evil.example/4711 or it": `Order "4711 could not be paid· …" is confirmed`,
		"www.evil.example": `Order "www·evil·example" is confirmed`,
		"1\r\nBcc: x@example.org\x00\u2028" + strings.Repeat("é", 500): `Order "1·Bcc· x·example·org·ééé…" is confirmed`,
		strings.Repeat("x", 128): "Order " + strings.Repeat("x", 128) + " is confirmed",
	} {
		n := domain.Notification{OrderID: id, Kind: messages.KindConfirmed}
		require.Equal(t, want, n.Email().Subject)
	}
}

func TestBackoffDoublesUpToItsMaximum(t *testing.T) {
	t.Parallel()
	b := domain.Backoff{First: time.Second, Max: 5 * time.Minute}
	for attempt, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second,
		9: 256 * time.Second, 10: 5 * time.Minute, 1_000_000: 5 * time.Minute} {
		require.Equal(t, want, b.After(attempt, 0), attempt)
	}
	require.Equal(t, 9*time.Second/10, b.After(1, 0.5), "jitter only shortens")
	require.Equal(t, time.Minute, domain.Backoff{First: time.Hour, Max: time.Minute}.After(1, 0))
}
