package reports

import (
	"cmp"
	"fmt"
	"math"

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
		if at, ok := last(c); ok {
			ends, ended = append(ends, p.at(0, at.Prevalence.Mean)[1]), append(ended, arm)
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
		for _, v := range []float64{q.Prevalence.Mean, q.Prevalence.Hi} {
			if !math.IsNaN(v) {
				high = max(high, v)
			}
		}
		if band && q.Neutral.Valid {
			high = max(high, q.Neutral.MeanHi)
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

// curve draws a mean and its interval.
func (s *svg) curve(p plot, c *Curve, hue string, control bool) {
	var mean, lower, upper [][2]float64
	for _, q := range c.Points {
		mean = append(mean, p.at(q.Generation, q.Prevalence.Mean))
		lower = append(lower, p.at(q.Generation, q.Prevalence.Lo))
		upper = append(upper, p.at(q.Generation, q.Prevalence.Hi))
	}
	s.area("band", hue, lower, upper)
	if control {
		s.path("mean dashed", hue, mean)
	} else {
		s.path("mean", hue, mean)
	}
}

// neutral hatches what the mean over the replicates does under copying alone.
func (s *svg) neutral(p plot, c *Curve) {
	if c == nil {
		return
	}
	for i := range len(c.Points) - 1 {
		a, b := c.Points[i], c.Points[i+1]
		if !a.Neutral.Valid || !b.Neutral.Valid {
			continue
		}
		from, to := p.at(a.Generation, 0)[0], p.at(b.Generation, 0)[0]
		strokes := max(1, math.Round((to-from)/5))
		for k := range int(strokes) {
			t := float64(k) / strokes
			lo, hi := a.Neutral.MeanLo+(b.Neutral.MeanLo-a.Neutral.MeanLo)*t, a.Neutral.MeanHi+(b.Neutral.MeanHi-a.Neutral.MeanHi)*t
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
