package reports

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// svg writes a static figure that takes its colours from the page it stands in.
// All text in it goes through text, which escapes.
type svg struct{ strings.Builder }

func openSVG(width, height float64, about string) *svg {
	s := &svg{}
	fmt.Fprintf(s, `<svg class="static" viewBox="0 0 %g %g" role="img" aria-label="%s">`, width, height, html.EscapeString(about))
	return s
}

func (s *svg) close() string {
	s.WriteString("</svg>")
	return s.String()
}

// px rounds to a tenth of a pixel.
func px(v float64) string { return fmt.Sprintf("%g", math.Round(v*10)/10) }

func (s *svg) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(s, `<line class="%s" x1="%s" y1="%s" x2="%s" y2="%s"/>`, class, px(x1), px(y1), px(x2), px(y2))
}

func (s *svg) rect(class, fill string, x, y, w, h float64) {
	fmt.Fprintf(s, `<rect class="%s" style="fill:var(--%s)" x="%s" y="%s" width="%s" height="%s"/>`, class, fill, px(x), px(y), px(w), px(h))
}

// text writes one line; anchor is start, middle or end, and color names a variable.
func (s *svg) text(class, anchor, color string, x, y float64, content string) {
	fmt.Fprintf(s, `<text class="%s" text-anchor="%s" style="fill:var(--%s)" x="%s" y="%s">%s</text>`,
		class, anchor, color, px(x), px(y), html.EscapeString(content))
}

// path draws points as one stroke; a point that is not finite breaks it.
func (s *svg) path(class, color string, points [][2]float64) {
	var d strings.Builder
	pen := byte('M')
	for _, p := range points {
		if math.IsNaN(p[0]) || math.IsNaN(p[1]) {
			pen = 'M'
			continue
		}
		fmt.Fprintf(&d, "%c%s %s", pen, px(p[0]), px(p[1]))
		pen = 'L'
	}
	fmt.Fprintf(s, `<path class="%s" style="stroke:var(--%s)" d="%s"/>`, class, color, d.String())
}

// area fills between two edges over every stretch where both are finite.
func (s *svg) area(class, color string, lower, upper [][2]float64) {
	var d strings.Builder
	for i := 0; i < len(lower); {
		j := i
		for j < len(lower) && !math.IsNaN(lower[j][1]) && !math.IsNaN(upper[j][1]) {
			j++
		}
		if j > i {
			edge := slices.Clone(lower[i:j])
			for k := j - 1; k >= i; k-- {
				edge = append(edge, upper[k])
			}
			if j == i+1 { // one point alone: a bar
				edge = [][2]float64{{edge[0][0] - 3, edge[0][1]}, {edge[0][0] + 3, edge[0][1]}, {edge[1][0] + 3, edge[1][1]}, {edge[1][0] - 3, edge[1][1]}}
			}
			for k, p := range edge {
				fmt.Fprintf(&d, "%c%s %s", "ML"[min(k, 1)], px(p[0]), px(p[1]))
			}
			d.WriteByte('Z')
		}
		i = j + 1
	}
	fmt.Fprintf(s, `<path class="%s" style="fill:var(--%s)" d="%s"/>`, class, color, d.String())
}

// niceCeiling is the end of an axis that starts at 0 and shows v, with the step
// between its ticks: 4 to 6 of them, at round shares, never beyond 1.
func niceCeiling(v float64) (top, step float64) {
	if math.IsNaN(v) || v <= 0 {
		v = 0.05
	}
	v = min(v, 1)
	unit := math.Pow(10, math.Floor(math.Log10(v/4)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		step = m * unit
		if top = math.Ceil(v/step-1e-9) * step; math.Round(top/step) <= 6 {
			break
		}
	}
	if top > 1 {
		return 1, 0.2
	}
	return top, step
}

// tickEvery is the distance between labelled generations on an axis with room
// for so many labels.
func tickEvery(generations, labels int) int {
	for _, every := range []int{1, 2, 5, 10, 20, 25, 50} {
		if (generations-1)/every+1 <= labels {
			return every
		}
	}
	return max(1, generations/max(labels, 1))
}

// spread moves labels at the given heights apart until they are gap pixels from
// each other, in their order and within top and bottom.
func spread(at []float64, gap, top, bottom float64) []float64 {
	order := make([]int, len(at))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if at[a] < at[b] {
			return -1
		} else if at[a] > at[b] {
			return 1
		}
		return 0
	})
	out := slices.Clone(at)
	floor := top
	for _, i := range order {
		out[i] = max(out[i], floor)
		floor = out[i] + gap
	}
	ceiling := bottom
	for _, i := range slices.Backward(order) {
		out[i] = min(out[i], ceiling)
		ceiling = out[i] - gap
	}
	return out
}
