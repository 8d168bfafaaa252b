// Package plot draws bars and lines as SVG, enough for a page of documentation.
package plot

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

const (
	width, height = 720, 340
	left, right   = 70, 20
	top, bottom   = 46, 60
	plotWidth     = width - left - right
	plotHeight    = height - top - bottom
)

// colors tell series apart, also to who does not see red and green as different.
func colors() []string { return []string{"#0b6fb8", "#d9822b", "#5a9e6f", "#8a6fb0", "#7a7a7a"} }

// Bar is a bar with the range that its rounds had.
type Bar struct {
	Label           string
	Value           float64
	Lowest, Highest float64
}

// Bars draws bars side by side, from zero.
func Bars(title, unit string, bars []Bar) string {
	most := 0.0
	for _, b := range bars {
		most = max(most, b.Value, b.Highest)
	}
	c := newCanvas(title, unit)
	scale := c.axis(most)
	step := float64(plotWidth) / float64(max(1, len(bars)))
	for i, b := range bars {
		x := left + step*(float64(i)+0.2)
		w := step * 0.6
		y := scale(b.Value)
		c.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, x, y, w, float64(top+plotHeight)-y, colors()[0])
		middle := x + w/2
		if b.Highest > b.Lowest {
			c.add(`<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="#222" stroke-width="1.5"/>`, middle, middle, scale(b.Lowest), scale(b.Highest))
		}
		c.text(middle, min(y, scale(max(b.Value, b.Highest)))-6, "middle", Number(b.Value))
		for n, line := range wrap(b.Label, max(8, int(step/6.5))) {
			c.text(middle, float64(top+plotHeight+18+14*n), "middle", line)
		}
	}
	return c.end()
}

// Series is a line.
type Series struct {
	Name   string
	Points []Point
}

// Point is a point of a line.
type Point struct{ X, Y float64 }

// Lines draws lines over a common axis, both from zero.
func Lines(title, xLabel, yLabel string, series []Series) string {
	mostX, mostY := 0.0, 0.0
	for _, s := range series {
		for _, p := range s.Points {
			mostX, mostY = max(mostX, p.X), max(mostY, p.Y)
		}
	}
	c := newCanvas(title, yLabel)
	y := c.axis(mostY)
	if mostX == 0 {
		mostX = 1
	}
	x := func(v float64) float64 { return left + v/mostX*plotWidth }
	for _, tick := range ticks(mostX) {
		c.text(x(tick), top+plotHeight+18, "middle", Number(tick))
	}
	c.text(left+plotWidth/2, height-10, "middle", xLabel)
	for i, s := range series {
		color := colors()[i%len(colors())]
		points := slices.SortedFunc(slices.Values(s.Points), func(a, b Point) int {
			if a.X < b.X {
				return -1
			}
			return 1
		})
		var path strings.Builder
		for _, p := range points {
			fmt.Fprintf(&path, "%.1f,%.1f ", x(p.X), y(p.Y))
			c.add(`<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, x(p.X), y(p.Y), color)
		}
		c.add(`<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`, strings.TrimSpace(path.String()), color)
		at := float64(left + 10 + 130*i)
		c.add(`<rect x="%.1f" y="30" width="10" height="10" fill="%s"/>`, at, color)
		c.text(at+15, 39, "start", s.Name)
	}
	return c.end()
}

type canvas struct{ strings.Builder }

func newCanvas(title, unit string) *canvas {
	c := &canvas{}
	c.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img">`, width, height)
	c.add(`<title>%s</title>`, html.EscapeString(title))
	c.add(`<rect width="%d" height="%d" fill="#fff"/>`, width, height)
	c.add(`<text x="%d" y="20" font-size="14" font-weight="bold">%s</text>`, left, html.EscapeString(title))
	c.add(`<text x="14" y="%d" transform="rotate(-90 14 %d)" text-anchor="middle">%s</text>`, top+plotHeight/2, top+plotHeight/2, html.EscapeString(unit))
	return c
}

func (c *canvas) add(format string, args ...any) { fmt.Fprintf(c, format+"\n", args...) }

func (c *canvas) text(x, y float64, anchor, text string) {
	c.add(`<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, html.EscapeString(text))
}

func (c *canvas) end() string {
	c.add(`</svg>`)
	return c.String()
}

// axis draws the vertical axis up to most, and returns where a value is.
func (c *canvas) axis(most float64) func(float64) float64 {
	all := ticks(most)
	highest := max(most, all[len(all)-1])
	at := func(v float64) float64 { return top + plotHeight*(1-v/highest) }
	for _, tick := range all {
		c.add(`<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/>`, left, left+plotWidth, at(tick), at(tick))
		c.text(left-8, at(tick)+4, "end", Number(tick))
	}
	return at
}

// ticks returns round numbers from zero to about most.
func ticks(most float64) []float64 {
	if most <= 0 || math.IsInf(most, 0) || math.IsNaN(most) {
		return []float64{0, 1}
	}
	step := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, times := range []float64{1, 2, 5, 10} {
		if most/(step*times) <= 5 {
			step *= times
			break
		}
	}
	var all []float64
	for i := range 7 {
		v := float64(i) * step
		all = append(all, v)
		if v >= most {
			break
		}
	}
	return all
}

// Number writes a figure with about three digits, thousands apart.
func Number(v float64) string {
	switch {
	case v >= 10_000:
		return grouped(fmt.Sprintf("%.0f", v))
	case v >= 100 || v == math.Trunc(v):
		return grouped(fmt.Sprintf("%.0f", v))
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

func grouped(digits string) string {
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// wrap breaks a label into lines of about so many letters.
func wrap(label string, letters int) []string {
	var lines []string
	for _, word := range strings.Fields(label) {
		if n := len(lines); n > 0 && len(lines[n-1])+1+len(word) <= letters {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}
