package messages

import "time"

// timeLayout is how this package writes times: RFC 3339 in UTC, with as many decimals as needed.
const timeLayout = "2006-01-02T15:04:05.999999999Z"

// ParseTime reads the time of a message: RFC 3339; the same with a space instead of T; with an offset without colon; without
// zone, which is taken for UTC; or a number since 1970.
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
	for _, layout := range [...]string{
		"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999",
		"2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999Z0700",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return inRange(t)
		}
	}
	return time.Time{}, false
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

// inRange refuses times that could not be written again.
func inRange(t time.Time) (time.Time, bool) {
	t = t.UTC()
	return t, t.Year() >= 1 && t.Year() <= 9999 && !t.IsZero()
}
