package plot_test

import (
	"encoding/xml"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"pasdetrois/bench/plot"
)

// elements reads an SVG whole and returns how many elements it has of each name, and its texts.
func elements(t *testing.T, svg string) (names map[string]int, texts []string) {
	t.Helper()
	names = map[string]int{}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return names, texts
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			names[token.Name.Local]++
			for _, a := range token.Attr {
				require.NotContains(t, a.Value, "NaN")
				require.NotContains(t, a.Value, "Inf")
			}
		case xml.CharData:
			texts = append(texts, string(token))
		}
	}
}

func TestBars(t *testing.T) {
	t.Parallel()
	svg := plot.Bars("Orders a second <by> arm", "orders/s", []plot.Bar{
		{Label: "pas", Value: 2500, Lowest: 2000, Highest: 3000}, {Label: "idiomatic & co", Value: 250}})
	names, texts := elements(t, svg)
	require.Equal(t, 1+2, names["rect"], "the background and a bar each")
	all := strings.Join(texts, "|")
	for _, text := range []string{"Orders a second <by> arm", "pas", "2,500", "250", "orders/s"} {
		require.Contains(t, all, text)
	}
}

// The higher value is higher up, in proportion, and the axis begins at zero.
func TestBarsAreInProportion(t *testing.T) {
	t.Parallel()
	svg := plot.Bars("t", "u", []plot.Bar{{Label: "a", Value: 100}, {Label: "b", Value: 50}})
	var heights []float64
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			for _, a := range e.Attr {
				if a.Name.Local == "height" && a.Value != "340" {
					var h float64
					require.NoError(t, xml.Unmarshal([]byte("<x>"+a.Value+"</x>"), &h))
					heights = append(heights, h)
				}
			}
		}
	}
	require.Len(t, heights, 2)
	require.InDelta(t, 2, heights[0]/heights[1], 0.01)
}

func TestLines(t *testing.T) {
	t.Parallel()
	svg := plot.Lines("Latency", "load, % of saturation", "ms", []plot.Series{
		{Name: "p50", Points: []plot.Point{{X: 50, Y: 12}, {X: 1, Y: 8}}},
		{Name: "p99", Points: []plot.Point{{X: 1, Y: 20}, {X: 50, Y: 60}}},
	})
	names, texts := elements(t, svg)
	require.Equal(t, 2, names["polyline"])
	require.Equal(t, 4, names["circle"])
	require.Contains(t, strings.Join(texts, "|"), "p99")
}

func TestNothingIsDrawnWithoutHarm(t *testing.T) {
	t.Parallel()
	for _, svg := range []string{plot.Bars("t", "u", nil), plot.Lines("t", "x", "y", nil),
		plot.Bars("t", "u", []plot.Bar{{Label: "", Value: 0}}), plot.Lines("t", "x", "y", []plot.Series{{Name: "n", Points: []plot.Point{{}}}})} {
		elements(t, svg)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 7: "7", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 1234: "1,234", 1_234_567: "1,234,567", math.Pi * 1000: "3,142"} {
		require.Equal(t, want, plot.Number(v))
	}
}
