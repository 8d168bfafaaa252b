package httpapi

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"pasdetrois/services/payments/internal/app"
)

// encodeCursor writes a position as text that clients hand back unread.
func encodeCursor(p app.Position) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.CreatedAt.UnixMicro(), 10) + " " + p.OrderID))
}

func decodeCursor(s string) (app.Position, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return app.Position{}, false
	}
	micros, orderID, ok := strings.Cut(string(raw), " ")
	if !ok || orderID == "" || !storable(orderID) {
		return app.Position{}, false
	}
	n, err := strconv.ParseInt(micros, 10, 64)
	if err != nil || n < 0 || n > maxMicros {
		return app.Position{}, false
	}
	return app.Position{CreatedAt: time.UnixMicro(n).UTC(), OrderID: orderID}, true
}

// maxMicros is the end of the year 9999: later times are no times of payments, and Postgres ends somewhere.
const maxMicros = 253_402_300_799_999_999
