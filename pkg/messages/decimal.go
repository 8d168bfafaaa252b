package messages

// maxNumber is the greatest length of a number literal, and maxExponent the largest power of ten in one. They suffice for
// every real client, and bound the work that a hostile one can cause.
const (
	maxNumber   = 64
	maxExponent = 400
)

// decimal is a decimal number, exactly as its literal says: 0.d1d2d3… × 10^point. digits has neither leading nor
// trailing zeros; it is empty for zero.
type decimal struct {
	neg    bool
	point  int
	n      int
	digits [maxNumber]byte
}

// parse reads a number in JSON's notation. It returns false for anything else and for literals beyond the bounds.
func (d *decimal) parse(s string) bool {
	d.neg, d.point, d.n = false, 0, 0
	if len(s) == 0 || len(s) > maxNumber {
		return false
	}
	i := 0
	if s[i] == '-' {
		d.neg = true
		i++
	}
	start := i
	for i < len(s) && isDigit(s[i]) {
		d.push(s[i])
		i++
	}
	if i == start || (s[start] == '0' && i > start+1) {
		return false
	}
	d.point = d.n
	if i < len(s) && s[i] == '.' {
		i++
		start = i
		for i < len(s) && isDigit(s[i]) {
			if d.n == 0 && s[i] == '0' {
				d.point--
			}
			d.push(s[i])
			i++
		}
		if i == start {
			return false
		}
	}
	exp, ok := parseExponent(s[i:])
	if !ok {
		return false
	}
	d.point += exp
	for d.n > 0 && d.digits[d.n-1] == '0' {
		d.n--
	}
	return true
}

// push appends a digit, dropping zeros in front of the first other one.
func (d *decimal) push(c byte) {
	if d.n == 0 && c == '0' {
		return
	}
	d.digits[d.n] = c
	d.n++
}

// parseExponent reads "", "e3", "E+3" or "e-3".
func parseExponent(s string) (int, bool) {
	if s == "" {
		return 0, true
	}
	if s[0] != 'e' && s[0] != 'E' {
		return 0, false
	}
	s = s[1:]
	sign := 1
	if s != "" && (s[0] == '+' || s[0] == '-') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	if s == "" {
		return 0, false
	}
	n := 0
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
		if n > maxExponent {
			return 0, false
		}
	}
	return sign * n, true
}

// at returns the digit with the value 10^(-i-1) of the number shifted left by places: at(places, 0) is the first one
// behind the decimal point.
func (d *decimal) at(places, i int) byte {
	i += d.point + places
	if i < 0 || i >= d.n {
		return '0'
	}
	return d.digits[i]
}

// whole returns the integer part of |number| × 10^places, and false when it has more than 18 digits.
func (d *decimal) whole(places int) (int64, bool) {
	p := d.point + places
	if d.n == 0 || p <= 0 {
		return 0, true
	}
	if p > 18 {
		return 0, false
	}
	var n int64
	for i := range p {
		n *= 10
		if i < d.n {
			n += int64(d.digits[i] - '0')
		}
	}
	return n, true
}

// exact reports whether number × 10^places is an integer.
func (d *decimal) exact(places int) bool { return d.n == 0 || d.n <= d.point+places }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
