package report

import (
	"math"
	"slices"
)

// Summary summarizes the rounds of one figure. Without rounds it is zero; N distinguishes that from a measured
// 0.
type Summary struct {
	Median, Min, Max float64
	N                int
}

// Summarize returns the median and the range of figures.
func Summarize(figures []float64) Summary {
	if len(figures) == 0 {
		return Summary{}
	}
	sorted := slices.Sorted(slices.Values(figures))
	n := len(sorted)
	return Summary{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1], N: n}
}

// Rounds summarizes figures by round.
func Rounds(of map[int]float64) Summary {
	var all []float64
	for _, v := range of {
		all = append(all, v)
	}
	return Summarize(all)
}

// Median returns the median of figures by round, and false when there are none.
func Median(of map[int]float64) (float64, bool) {
	s := Rounds(of)
	return s.Median, s.N > 0
}

// Ratio returns a/b, and false when b is no positive number.
func Ratio(a, b float64) (float64, bool) {
	if b <= 0 || math.IsNaN(a) || math.IsNaN(b) || math.IsInf(b, 0) {
		return 0, false
	}
	return a / b, true
}

// Ratios returns the ratios of figures of the same round, ascending. A round that only one side has is left
// out.
func Ratios(a, b map[int]float64) (found []float64) {
	for round, x := range a {
		if ratio, ok := Ratio(x, b[round]); ok {
			found = append(found, ratio)
		}
	}
	slices.Sort(found)
	return found
}

// ratio returns the median of the ratios within rounds, and false when no round has both figures.
func ratio(a, b map[int]float64) (float64, bool) {
	s := Summarize(Ratios(a, b))
	return s.Median, s.N > 0
}
