package messages_test

import (
	"strings"
	"testing"
	"time"

	"pasdetrois/pkg/messages"
)

func TestTimestampsOfPlainProducersAreUnderstood(t *testing.T) {
	t.Parallel()
	at := func(nsec int) time.Time { return time.Date(2024, 1, 2, 3, 4, 5, nsec, time.UTC) }
	for in, want := range map[string]time.Time{
		`"2024-01-02T03:04:05Z"`:             at(0),
		`"2024-01-02T03:04:05.123456789Z"`:   at(123456789),
		`"2024-01-02T04:04:05+01:00"`:        at(0),
		`"2024-01-01T22:04:05.5-05:00"`:      at(500000000),
		`"2024-01-02T03:04:05.123456+00:00"`: at(123456000), // datetime.now(timezone.utc).isoformat()
		`"2024-01-02T03:04:05.123456"`:       at(123456000), // datetime.utcnow().isoformat()
		`"2024-01-02T03:04:05"`:              at(0),
		`"2024-01-02 03:04:05.123456"`:       at(123456000), // str(datetime.utcnow())
		`"2024-01-02 03:04:05.123456+00:00"`: at(123456000),
		`"2024-01-02 03:04:05Z"`:             at(0),
		`"2024-01-02T03:04:05.123+0000"`:     at(123000000), // Java's ISO_OFFSET without colon, Jackson
		`"2024-01-02 05:04:05+0200"`:         at(0),
		`1704164645`:                         at(0), // int(time.time())
		`1704164645.123456`:                  at(123456000),
		`1704164645.1234567891`:              at(123456789),
		`1.704164645e9`:                      at(0),
		`1704164645123`:                      at(123000000), // Date.now()
		`1704164645123.5`:                    at(123500000), // performance.timeOrigin + now
		`1704164645123456`:                   at(123456000),
		`1704164645123456789`:                at(123456789), // time.time_ns()
		`"1704164645.5"`:                     at(500000000),
		`0`:                                  time.Unix(0, 0).UTC(),
		`99999999999`:                        time.Unix(99999999999, 0).UTC(),
		`100000000000`:                       time.Unix(100000000, 0).UTC(),
		`100000000000000`:                    time.Unix(100000000, 0).UTC(),
		`100000000000000000`:                 time.Unix(100000000, 0).UTC(),
		`"0001-01-01T00:00:01Z"`:             time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC),
		`"9999-12-31T23:59:59.999999999Z"`:   time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
		`"2024-01-02t03:04:05z"`:             at(0), // RFC 3339, section 5.6, lets t and z be small
		`"2024-01-02T03:04:05.25z"`:          at(250000000),
		`"2024-01-02T03:03:60Z"`:             time.Date(2024, 1, 2, 3, 4, 0, 0, time.UTC), // RFC 3339's leap second
		`"2016-12-31 23:59:60.5 UTC"`:        time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC),
		`"2024-01-02 03:04:05 UTC"`:          at(0), // Ruby's Time#to_s in UTC
		`"2024-01-02 04:04:05 +0100"`:        at(0), // and elsewhere
		`"2024-01-02 03:04:05 GMT"`:          at(0),
		`"2024-01-02 03:04:05.589793+00"`:    at(589793000), // Postgres' text of a timestamptz
		`"2024-01-02 08:34:05.5+05:30"`:      at(500000000),
		`"2024-01-02T03:04:05+00"`:           at(0),
		`[2024,1,2,3,4,5,456789000]`:         at(456789000), // Jackson 2's LocalDateTime, as Spring's JsonSerializer writes it
		`[2024,1,2,3,4,5]`:                   at(0),
		`[2024, 1, 2, 3, 4]`:                 time.Date(2024, 1, 2, 3, 4, 0, 0, time.UTC),
	} {
		m, err := messages.Decode(with(`,"timestamp":` + in))
		if err != nil || !m.Time.Equal(want) || m.Time.Location() != time.UTC {
			t.Errorf("timestamp %s is read as %s, %v, want %s", in, m.Time, err, want)
			continue
		}
		m.Time = m.Time.Truncate(time.Microsecond) // we write six digits
		roundTrip(t, m)
	}
}

func TestOtherTimestampsAreRefused(t *testing.T) {
	t.Parallel()
	for _, in := range []string{`"now"`, `"2024-01-02"`, `"2024-13-02T03:04:05Z"`, `"2024-02-30T03:04:05Z"`, `"2024-01-02T25:04:05Z"`,
		`"Tue Jan  2 03:04:05 2024"`, `"02/01/2024 03:04:05"`, `"2024-01-02T03:04:05Z "`, `"2024-01-02T03:04:05+1"`, `"0000-01-01T00:00:00Z"`,
		`"0001-01-01T00:00:00Z"`, `"9999-12-31T23:59:59-05:00"`, `-1704164645`, `1e20`, `99999999999999999999`, `[]`, `{}`, `false`,
		`[2024,1,2]`, `[2024,2,30,3,4,5]`, `[2024,1,2,3,4,5,6,7]`, `[2024,1,2,3,4,"5"]`, `[2024,1,2,3,4,5.5]`, `[[2024],1,2,3,4,5]`, `[0,1,2,3,4,5]`,
		`"2024-01-02 03:04:05 PST"`, `"2024-01-02T03:04:61Z"`, `"2024-01-02  03:04:05 UTC"`, `"2024-01-02 03:04:05 UTC+1"`,
		`"` + strings.Repeat("2", 41) + `"`} {
		if reason, detail := reasonOf(t, with(`,"timestamp":`+in)); reason != messages.ReasonInvalidMessage || !strings.Contains(detail, "timestamp") {
			t.Errorf("timestamp %s: %q, %s", in, reason, detail)
		}
	}
}

// An empty timestamp is a missing one: it decides nothing.
func TestAnEmptyTimestampIsAMissingOne(t *testing.T) {
	t.Parallel()
	if m, err := messages.Decode(with(`,"timestamp":""`)); err != nil || m.Time.Unix() != 1_700_000_000 {
		t.Errorf("read as %s, %v", m.Time, err)
	}
}
