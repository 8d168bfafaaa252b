//go:build observability

package observability_test

import (
	"fmt"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pasdetrois/pkg/messages"
	"pasdetrois/pkg/platform/testkit"
	"pasdetrois/pkg/platform/tracing/tracingtest"
	"pasdetrois/toolbox/client"
)

// TestPictures draws what the documentation shows, from what was really measured. `make generate WHAT=pictures` keeps them, in the folder
// that PICTURES names; without it they are drawn and thrown away.
func TestPictures(t *testing.T) {
	folder, keep := os.Getenv("PICTURES"), true
	if folder == "" {
		folder, keep = t.TempDir(), false
	}
	draw := func(name, picture string) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(picture), 0o644))
	}
	t.Run("the trace of one order", func(t *testing.T) {
		collector := tracingtest.HTTP(t)
		s := start(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL})
		for range 3 { // the last one is drawn: it finds connections open and statements prepared
			order, _, err := s.Client().Place(t.Context(), client.NewOrder{UserID: "ada", Total: "49.99"}, client.PlaceOptions{})
			require.NoError(t, err)
			testkit.Eventually(t, func() error {
				for _, e := range s.Emails() {
					if e.OrderID == order.OrderID {
						return nil
					}
				}
				return fmt.Errorf("no email about %s", order.OrderID)
			})
		}
		require.NoError(t, s.Stop())
		var last string
		for _, span := range collector.Spans() {
			if span.Name == "POST /orders" {
				last = span.Trace
			}
		}
		spans := slices.DeleteFunc(collector.Spans(), func(s tracingtest.Span) bool { return s.Trace != last })
		require.Greater(t, len(spans), 20)
		for i := range spans {
			spans[i].Name = strings.Replace(spans[i].Name, s.Kafka().TopicPrefix, "", 1) // which is this test's own
		}
		draw("order-trace.svg", waterfall(spans))
	})
	t.Run("the first row of the dashboard", func(t *testing.T) {
		s := start(t, nil)
		p := startPrometheus(t, s)
		keepOrdering(t, s)
		if keep {
			<-time.After(90 * time.Second) // that much is drawn, but for the beginning
		}
		var panels []panel
		testkit.Eventually(t, func() (err error) {
			panels, err = p.panels(dashboard(t), time.Now().Add(-70*time.Second), "Orders by outcome", "POST to email", "Stages of an order")
			return err
		})
		draw("dashboard.svg", charts(panels))
	})
}

// line is one series over time.
type line struct {
	name   string
	points [][2]float64
}

// panel is some lines.
type panel struct {
	title, unit string
	lines       []line
}

// panels returns what the dashboard's panels of these titles show since a time, or an error when one shows nothing.
func (p *prometheus) panels(uses []use, since time.Time, titles ...string) ([]panel, error) {
	var all []panel
	for _, title := range titles {
		shown := panel{title: title, unit: "per second"}
		for _, u := range uses {
			if u.where != "panel "+title {
				continue
			}
			if strings.HasPrefix(u.expr, "histogram_quantile") {
				shown.unit = "seconds"
			}
			lines, err := p.between(u.expr, since, time.Now())
			if err != nil {
				return nil, err
			}
			for _, l := range lines {
				if l.name == "" {
					l.name = u.legend
				}
				if len(l.points) > 0 {
					shown.lines = append(shown.lines, l)
				}
			}
		}
		if len(shown.lines) == 0 {
			return nil, fmt.Errorf("%s shows nothing", title)
		}
		all = append(all, shown)
	}
	return all, nil
}

// between returns an expression's series.
func (p *prometheus) between(expr string, from, to time.Time) ([]line, error) {
	var data struct {
		Result []struct {
			Metric map[string]string
			Values [][2]any
		}
	}
	err := p.get("query_range", url.Values{"query": {strings.ReplaceAll(expr, "$__rate_interval", "15s")}, "step": {"1"},
		"start": {fmt.Sprint(from.Unix())}, "end": {fmt.Sprint(to.Unix())}}, &data)
	var lines []line
	for _, r := range data.Result {
		l := line{name: r.Metric["status"]}
		for _, v := range r.Values {
			y, err := strconv.ParseFloat(fmt.Sprint(v[1]), 64)
			if err == nil && y == y {
				l.points = append(l.points, [2]float64{v[0].(float64), y})
			}
		}
		lines = append(lines, l)
	}
	return lines, err
}

const (
	width, textWidth = 1000.0, 330.0
	rowHeight        = 18.0
	chartWidth       = 330.0
	chartHeight      = 220.0
)

func colour(i int) string {
	return []string{"#3274a1", "#e1812c", "#3a923a", "#c03d3e", "#9372b2", "#845b53"}[i%6]
}

// waterfall draws spans below each other, each where it was in time.
func waterfall(spans []tracingtest.Span) string {
	children := map[string][]tracingtest.Span{}
	begin, end := spans[0].Begin, spans[0].End
	for _, s := range spans {
		children[s.Parent] = append(children[s.Parent], s)
		if s.End.After(end) {
			end = s.End
		}
	}
	var rows []string
	x := func(at time.Time) float64 {
		return textWidth + (width-textWidth-70)*float64(at.Sub(begin))/float64(end.Sub(begin))
	}
	services := messages.Services()
	var show func(s tracingtest.Span, depth int)
	show = func(s tracingtest.Span, depth int) {
		y := 46 + float64(len(rows))*rowHeight
		fill := colour(slices.Index(services, s.Service))
		rows = append(rows, fmt.Sprintf(`<text x="%.0f" y="%.1f">%s</text><rect x="%.1f" y="%.1f" width="%.1f" height="11" rx="2" fill="%s"/><text x="%.1f" y="%.1f" fill="#555" font-size="10">%.1f ms</text>`+"\n",
			10+float64(depth)*9, y+9, html.EscapeString(s.Name), x(s.Begin), y, max(1.5, x(s.End)-x(s.Begin)), fill,
			x(s.End)+4, y+9, s.End.Sub(s.Begin).Seconds()*1000))
		for _, c := range children[s.ID] {
			if strings.Contains(s.Attributes["db.system.name"], "postgres") { // parts of a statement
				break
			}
			show(c, depth+1)
		}
	}
	show(spans[0], 0)
	var b strings.Builder
	header(&b, width, 56+float64(len(rows))*rowHeight, fmt.Sprintf("One order, %.1f ms from the request to the email", end.Sub(begin).Seconds()*1000))
	for i, s := range services {
		fmt.Fprintf(&b, `<rect x="%d" y="12" width="11" height="11" rx="2" fill="%s"/><text x="%d" y="22">%s</text>`+"\n", 640+i*110, colour(i), 656+i*110, s)
	}
	return b.String() + strings.Join(rows, "") + "</svg>\n"
}

func header(b *strings.Builder, width, height float64, title string) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="12" role="img">
<title>%s</title>
<rect width="%.0f" height="%.0f" fill="#fff"/>
<text x="10" y="22" font-size="14" font-weight="bold">%s</text>
`, width, height, title, width, height, title)
}

// charts draws panels side by side.
func charts(panels []panel) string {
	legend := 0
	for _, p := range panels {
		legend = max(legend, len(p.lines))
	}
	var b strings.Builder
	header(&b, chartWidth*float64(len(panels)), chartHeight+70+float64(legend)*16, "Orders as Prometheus saw them")
	for i, p := range panels {
		left, top, right, bottom := chartWidth*float64(i)+50, 62.0, chartWidth*float64(i)+chartWidth-14, chartHeight+40
		from, to, high := p.lines[0].points[0][0], 0.0, 0.0
		for _, l := range p.lines {
			for _, at := range l.points {
				from, to, high = min(from, at[0]), max(to, at[0]), max(high, at[1])
			}
		}
		high = max(high*1.1, 0.001)
		fmt.Fprintf(&b, `<text x="%.0f" y="52" font-weight="bold">%s</text><text x="%.0f" y="52" text-anchor="end" fill="#555">%s</text>`+"\n", left, p.title, right, p.unit)
		for n := range 5 {
			y := bottom - (bottom-top)*float64(n)/4
			fmt.Fprintf(&b, `<line x1="%.0f" x2="%.0f" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%.0f" y="%.1f" text-anchor="end">%.3g</text>`+"\n", left, right, y, y, left-5, y+4, high*float64(n)/4)
		}
		for n, l := range p.lines {
			var path []string
			for _, at := range l.points {
				path = append(path, fmt.Sprintf("%.1f,%.1f", left+(right-left)*(at[0]-from)/max(1, to-from), bottom-(bottom-top)*at[1]/high))
			}
			y := bottom + 22 + float64(n)*16
			fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/><rect x="%.0f" y="%.1f" width="11" height="4" fill="%s"/><text x="%.0f" y="%.1f">%s</text>`+"\n",
				strings.Join(path, " "), colour(n), left, y-6, colour(n), left+16, y, html.EscapeString(l.name))
		}
	}
	return b.String() + "</svg>\n"
}
