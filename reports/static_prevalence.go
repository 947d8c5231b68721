package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
)

// plot maps generations and shares to pixels.
type plot struct {
	left, right, top, bottom float64
	generations              int
	high                     float64
}

func (p plot) at(generation int, share float64) [2]float64 {
	x := p.left
	if p.generations > 1 {
		x += (p.right - p.left) * float64(generation) / float64(p.generations-1)
	} else {
		x += (p.right - p.left) / 2
	}
	return [2]float64{x, p.bottom - (p.bottom-p.top)*share/p.high}
}

// staticPrevalence draws one behaviour in one line: the mean of every compared
// arm with its interval, and the neutral band of the arm in detail.
func (x *index) staticPrevalence(behaviour, line int, part, about string) string {
	arms := x.compared()
	events := x.events(arms, line)
	marked := min(len(events), drawnEvents)
	const width = 760
	p := plot{left: 48, right: width - 168, top: 14 + 20*float64(marked), generations: x.generations}
	p.bottom = p.top + 270
	s := openSVG(width, p.bottom+44, about)
	high := 0.0
	for _, arm := range arms {
		high = max(high, highest(x.curve(arm, line, behaviour, part), arm == x.opens.Arm && part == lineage.Outputs))
	}
	step := 0.0
	p.high, step = niceCeiling(high)
	s.axes(p, step)
	s.events(p, events[:marked])
	if part == lineage.Outputs {
		s.neutral(p, x.curve(x.opens.Arm, line, behaviour, part))
	}
	var ends []float64
	var ended []int
	for _, arm := range arms {
		c := x.curve(arm, line, behaviour, part)
		if c == nil {
			continue
		}
		s.curve(p, c, x.hue(arm), x.Study.Arms[arm].Control)
		for _, q := range slices.Backward(c.Points) {
			if v := q.level(corrects(c)).Mean; !math.IsNaN(v) {
				ends, ended = append(ends, p.at(0, v)[1]), append(ended, arm)
				break
			}
		}
	}
	for i, y := range spread(ends, 15, p.top+4, p.bottom) {
		s.text("b", "start", x.hue(ended[i]), p.right+10, y+4, label(x.arms[ended[i]], 22))
	}
	return s.close()
}

// highest is what the vertical axis must reach for a curve.
func highest(c *Curve, band bool) (high float64) {
	if c == nil {
		return 0
	}
	for _, q := range c.Points {
		at := q.level(corrects(c))
		for _, v := range []float64{q.Prevalence.Mean, at.Mean, at.Hi} {
			if !math.IsNaN(v) {
				high = max(high, v)
			}
		}
		if b := q.band(corrects(c)); band && b.Valid {
			high = max(high, b.MeanHi)
		}
	}
	return high
}

func (s *svg) axes(p plot, step float64) {
	for i := 0; float64(i)*step <= p.high*1.001; i++ {
		v := float64(i) * step
		y := p.at(0, v)[1]
		s.line("grid", p.left, y, p.right, y)
		s.text("", "end", "muted", p.left-8, y+4, fmt.Sprintf("%g%%", math.Round(v*1e6)/1e4))
	}
	every := tickEvery(p.generations, 14)
	for g := 0; g < p.generations; g += every {
		at := p.at(g, 0)
		s.line("tick", at[0], at[1], at[0], at[1]+4)
		s.text("", "middle", "muted", at[0], at[1]+18, fmt.Sprint(g))
	}
	s.text("", "middle", "muted", (p.left+p.right)/2, p.bottom+36, "Model generation")
}

// level is the prevalence of a point, or what it comes to corrected: without a
// mean where the point is not corrected.
func (p Point) level(corrected bool) Interval {
	switch {
	case !corrected:
		return p.Prevalence
	case p.Method == "":
		return nothing("")
	}
	return p.Corrected
}

// band is what copying alone would give, in the terms of level.
func (p Point) band(corrected bool) Band {
	if corrected {
		return p.CorrectedNeutral
	}
	return p.Neutral
}

// curve draws a mean and its interval: corrected where that is possible, and what
// the detector reads as a thin line beside it.
func (s *svg) curve(p plot, c *Curve, hue string, control bool) {
	var mean, lower, upper, raw [][2]float64
	for _, q := range c.Points {
		at := q.level(corrects(c))
		mean = append(mean, p.at(q.Generation, at.Mean))
		lower = append(lower, p.at(q.Generation, at.Lo))
		upper = append(upper, p.at(q.Generation, at.Hi))
		raw = append(raw, p.at(q.Generation, q.Prevalence.Mean))
	}
	s.area("band", hue, lower, upper)
	style := ""
	if control {
		style = " dashed"
	}
	if corrects(c) {
		s.path("raw"+style, hue, raw)
	}
	for i, at := range mean {
		if alone(mean, i) {
			s.path("mean", hue, [][2]float64{{at[0] - 4, at[1]}, {at[0] + 4, at[1]}})
		}
	}
	s.path("mean"+style, hue, mean)
}

// alone says whether a point has no neighbour that a line could come from.
func alone(points [][2]float64, i int) bool {
	return !math.IsNaN(points[i][1]) && (i == 0 || math.IsNaN(points[i-1][1])) && (i+1 == len(points) || math.IsNaN(points[i+1][1]))
}

// neutral hatches what the mean over the replicates does under copying alone.
func (s *svg) neutral(p plot, c *Curve) {
	if c == nil {
		return
	}
	for i := range len(c.Points) - 1 {
		a, b := c.Points[i].band(corrects(c)), c.Points[i+1].band(corrects(c))
		if !a.Valid || !b.Valid {
			continue
		}
		from, to := p.at(c.Points[i].Generation, 0)[0], p.at(c.Points[i+1].Generation, 0)[0]
		strokes := max(1, math.Round((to-from)/5))
		for k := range int(strokes) {
			t := float64(k) / strokes
			lo, hi := a.MeanLo+(b.MeanLo-a.MeanLo)*t, a.MeanHi+(b.MeanHi-a.MeanHi)*t
			s.line("hatch", from+(to-from)*t, p.at(0, lo)[1], from+(to-from)*t, p.at(0, hi)[1])
		}
	}
}

// drawnEvents is how many interventions a figure marks; all are listed below it.
const drawnEvents = 6

// events lists what was done to a line in the arms, each once.
func (x *index) events(arms []int, line int) []lineage.Event {
	var all []lineage.Event
	seen := map[string]bool{}
	for _, a := range arms {
		for _, e := range x.Study.Arms[a].Events {
			key := fmt.Sprint(e.Kind, "\x00", e.What, "\x00", e.From, e.To)
			if !seen[key] && x.touches(e, line) {
				seen[key] = true
				all = append(all, e)
			}
		}
	}
	return all
}

// touches says whether an event is about a line; no lines means all of them.
func (x *index) touches(e lineage.Event, line int) bool {
	if len(e.Lines) == 0 || line >= len(x.lines) {
		return true
	}
	for _, l := range e.Lines {
		if l == x.Study.Lines[line] {
			return true
		}
	}
	return false
}

// events draws a bar above the plot for each event, and a rule where it begins.
func (s *svg) events(p plot, events []lineage.Event) {
	for i, e := range events {
		y := p.top - 12 - 20*float64(len(events)-1-i)
		from := p.at(max(0, min(e.From, p.generations-1)), 0)[0]
		to := max(from+3, p.at(max(0, min(e.To, p.generations-1)), 0)[0])
		s.line("rule", from, p.top-4, from, p.bottom)
		s.rect("event", "faint", from, y+3, to-from, 3)
		if from > (p.left+p.right)/2 {
			s.text("", "end", "muted", to, y, label(eventText(e), 64))
		} else {
			s.text("", "start", "muted", from+4, y, label(eventText(e), 64))
		}
	}
}

// eventText says what was done and when.
func eventText(e lineage.Event) string {
	when := fmt.Sprintf("generation %d", e.From)
	if e.To > e.From {
		when = fmt.Sprintf("generations %d–%d", e.From, e.To)
	}
	return cmp.Or(label(e.What, 90), label(e.Kind, 24)) + ", " + when
}
