package messages

import (
	"strconv"
	"strings"
	"time"
)

// timeLayout is the form of every written time: RFC 3339 in UTC, always with six decimals. Some readers cut or count the
// digits: Faust 0.15 takes .95675Z for 95,675 microseconds, Python's datetime.fromisoformat before 3.11 rejects five.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// ParseTime reads the time of a message, and reports false for any other text. It accepts:
//
//   - RFC 3339, with t and z in either case, and with the second 60, which is the first moment of the next minute
//   - the same with a space instead of T, or a space before the zone
//   - an offset of hours only, or without colon; UTC or GMT as the zone; no zone, which means UTC
//   - a number since 1970: see parseEpoch for its unit
func ParseTime(s string) (time.Time, bool) {
	if len(s) >= 20 && len(s) <= 40 && s[4] == '-' && s[10] == 'T' {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return inRange(t)
		}
	}
	if s == "" || len(s) > 40 {
		return time.Time{}, false
	}
	if t, ok := parseEpoch(s); ok {
		return inRange(t)
	}
	return parseClock(s)
}

// parseClock reads the notations other than plain RFC 3339: a date, T or space, a time, and a zone or none. deploy/spark
// reads the same ones.
func parseClock(s string) (time.Time, bool) {
	s = strings.ToUpper(s)
	const date = len("2006-01-02")
	if len(s) <= date || s[date] != 'T' && s[date] != ' ' {
		return time.Time{}, false
	}
	rest := s[date+1:]
	zone := strings.TrimLeft(rest, "0123456789:.,")
	clock := rest[:len(rest)-len(zone)]
	if spaced, ok := strings.CutPrefix(zone, " "); ok {
		if zone = spaced; zone == "" {
			return time.Time{}, false
		}
	}
	switch zone {
	case "", "UTC", "GMT":
		zone = "Z"
	}
	// RFC 3339, section 5.6: a leap second. Go's clock has none, so it is the first moment of the next minute.
	second := strings.LastIndexByte(clock, ':') + 1
	whole, _, _ := strings.Cut(strings.ReplaceAll(clock[second:], ",", "."), ".")
	leap := whole == "60"
	if leap {
		clock = clock[:second] + "59"
	}
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999Z07"} {
		if t, err := time.Parse(layout, s[:date]+"T"+clock+zone); err == nil {
			if leap {
				t = t.Add(time.Second)
			}
			return inRange(t)
		}
	}
	return time.Time{}, false
}

// parseParts reads [year, month, day, hour, minute, second, nanosecond], the last two of which may be missing: a
// LocalDateTime of Java as Jackson 2 writes it by default. It means UTC.
func parseParts(array string) (time.Time, bool) {
	var parts [7]int
	n, ok := 0, true
	s := scanner{s: array}
	err := s.array(func(v value) {
		ok = ok && n < len(parts) && v.kind == number && len(v.s) <= 9
		if ok {
			var bad error
			parts[n], bad = strconv.Atoi(v.s)
			ok = bad == nil
		}
		n++
	})
	if err != nil || !ok || n < 5 {
		return time.Time{}, false
	}
	t := time.Date(parts[0], time.Month(parts[1]), parts[2], parts[3], parts[4], parts[5], parts[6], time.UTC)
	// time.Date moves an impossible date, such as the 30th of February, on to a possible one.
	same := t.Year() == parts[0] && int(t.Month()) == parts[1] && t.Day() == parts[2] &&
		t.Hour() == parts[3] && t.Minute() == parts[4] && t.Second() == parts[5] && t.Nanosecond() == parts[6]
	if !same {
		return time.Time{}, false
	}
	return inRange(t)
}

// parseEpoch reads a number since 1970, in seconds. A number that would be beyond the year 5000 in seconds is in
// milliseconds (Date.now() in JavaScript), microseconds or nanoseconds (time.time_ns() in Python).
func parseEpoch(s string) (time.Time, bool) {
	var d decimal
	if !d.parse(s) || d.neg {
		return time.Time{}, false
	}
	whole, ok := d.whole(0)
	if !ok && d.point > 19 {
		return time.Time{}, false
	}
	places := 9 // from the number's unit to nanoseconds
	switch {
	case !ok || whole >= 1e17:
		places = 0
	case whole >= 1e14:
		places = 3
	case whole >= 1e11:
		places = 6
	}
	sec, _ := d.whole(places - 9)
	var nsec int64
	for i := range 9 {
		nsec = nsec*10 + int64(d.at(places-9, i)-'0')
	}
	return time.Unix(sec, nsec), true
}

// inRange rejects times that could not be written again: RFC 3339 has years of four digits.
func inRange(t time.Time) (time.Time, bool) {
	t = t.UTC()
	return t, t.Year() >= 1 && t.Year() <= 9999 && !t.IsZero()
}
