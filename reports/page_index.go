package reports

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/heirloom-sim/heirloom/lineage"
)

// hues is how many arms a figure tells apart by colour, the control aside.
const hues = 5

// index finds findings by position, and holds the names as a page writes them.
type index struct {
	*Findings
	arms, lines, behaviours []string
	arm, line, behaviour    map[string]int
	curves                  map[curveKey]*Curve
	generations             int
	digits                  int // significant ones that the page carries of an estimate
	opens                   opening
}

type curveKey struct{ arm, line, behaviour, detector, part string }

// opening is what a page shows first: a behaviour in a line, one arm in detail,
// and the arms compared, each at the place of its colour (-1 for none).
type opening struct {
	Behaviour int   `json:"b"`
	Line      int   `json:"l"`
	Arm       int   `json:"f"`
	Arms      []int `json:"a"`
	Controls  []int `json:"c"`
}

func newIndex(f *Findings) *index {
	x := &index{Findings: f, curves: map[curveKey]*Curve{}, generations: max(1, f.Study.Generations)}
	var arms, behaviours, titles []string
	for _, a := range f.Study.Arms {
		arms = append(arms, a.Name)
	}
	for _, b := range f.Study.Behaviours {
		behaviours, titles = append(behaviours, b.Name), append(titles, b.Title)
		if b.Title == "" {
			titles[len(titles)-1] = b.Name
		}
	}
	x.arms, x.arm = names(arms), positions(arms)
	x.lines, x.line = names(f.Study.Lines), positions(f.Study.Lines)
	x.behaviours, x.behaviour = names(titles), positions(behaviours)
	for i := range f.Curves {
		c := &f.Curves[i]
		x.curves[curveKey{c.Arm, c.Line, c.Behaviour, c.Detector, c.Part}] = c
		for _, p := range c.Points {
			x.generations = max(x.generations, p.Generation+1)
		}
	}
	points := 0
	for _, c := range f.Curves {
		points += len(c.Points)
	}
	if x.digits = 6; points > 20_000 {
		x.digits = 4
	}
	x.opens = x.open()
	return x
}

// names writes each name on one line of at most 80 characters, and keeps those
// apart that would look the same.
func names(raw []string) []string {
	out := make([]string, len(raw))
	for i, s := range raw {
		out[i] = label(s, 80)
		for n := 2; slices.Contains(out[:i], out[i]); n++ {
			out[i] = fmt.Sprintf("%s (%d)", label(s, 74), n)
		}
	}
	return out
}

func positions(raw []string) map[string]int {
	at := map[string]int{}
	for i, s := range raw {
		at[s] = i
	}
	return at
}

// name is names[at[key]], and "–" for what the study does not have.
func name(names []string, at map[string]int, key string) string {
	if i, ok := at[key]; ok {
		return names[i]
	}
	return "–"
}

// curve finds a curve by position, of the behaviour's first detector.
func (x *index) curve(arm, line, behaviour int, part string) *Curve {
	if arm < 0 || arm >= len(x.arms) || line >= len(x.lines) || behaviour >= len(x.behaviours) {
		return nil
	}
	b := x.Study.Behaviours[behaviour]
	k := curveKey{x.Study.Arms[arm].Name, x.Study.Lines[line], b.Name, "", part}
	if len(b.Detectors) > 0 {
		k.detector = b.Detectors[0]
	}
	if c := x.curves[k]; c != nil {
		return c
	}
	for i := range x.Curves {
		if c := &x.Curves[i]; c.Arm == k.arm && c.Line == k.line && c.Behaviour == k.behaviour && c.Part == part {
			return c
		}
	}
	return nil
}

// spoken is the verdict that the headline speaks of, or else the first of a line
// that was seeded; nil where there is none.
func (x *index) spoken() *Verdict {
	if x.Lead >= 0 && x.Lead < len(x.Verdicts) {
		return &x.Verdicts[x.Lead]
	}
	if i := strongest(x.Elicited); i >= 0 {
		return &x.Elicited[i]
	}
	if i := slices.IndexFunc(x.Verdicts, func(v Verdict) bool { return v.Seeded }); i >= 0 {
		return &x.Verdicts[i]
	}
	return nil
}

// open is what the page shows first: that of its headline.
func (x *index) open() opening {
	o := opening{Arm: -1, Arms: slices.Repeat([]int{-1}, hues)}
	if v := x.spoken(); v != nil {
		o.Arm, o.Line, o.Behaviour = x.arm[v.Arm], x.line[v.Line], x.behaviour[v.Behaviour]
	}
	slot := 0
	for i, a := range x.Study.Arms {
		switch {
		case a.Control:
			o.Controls = append(o.Controls, i)
		case slot < hues:
			o.Arms[slot] = i
			slot++
		}
		if o.Arm < 0 && !a.Control {
			o.Arm = i
		}
	}
	o.Arm = max(o.Arm, 0)
	if base := x.baseline(o.Arm); base >= 0 {
		o.Controls = []int{base}
	} else if len(o.Controls) > 1 {
		o.Controls = o.Controls[:1]
	}
	if !slices.Contains(o.Arms, o.Arm) && !slices.Contains(o.Controls, o.Arm) && len(x.arms) > 0 {
		o.Arms[hues-1] = o.Arm
	}
	return o
}

// baseline is the control that an arm is compared with, -1 for none.
func (x *index) baseline(arm int) int {
	if arm >= len(x.arms) {
		return -1
	}
	a := x.Study.Arms[arm]
	if i, ok := x.arm[a.Baseline]; ok && a.Baseline != "" && x.Study.Arms[i].Control {
		return i
	}
	return slices.IndexFunc(x.Study.Arms, func(a lineage.Arm) bool { return a.Control })
}

// hue is the CSS variable of an arm's colour in the opening view.
func (x *index) hue(arm int) string {
	if i := slices.Index(x.opens.Arms, arm); i >= 0 {
		return fmt.Sprintf("s%d", i)
	}
	if arm >= 0 && arm < len(x.arms) && x.Study.Arms[arm].Control {
		return "s5"
	}
	return "muted"
}

// compared lists the arms of the opening view in the order of the study.
func (x *index) compared() []int {
	var arms []int
	for i := range x.arms {
		if slices.Contains(x.opens.Arms, i) || slices.Contains(x.opens.Controls, i) {
			arms = append(arms, i)
		}
	}
	return arms
}

// last gives the last point of a curve at which something could be scored.
func last(c *Curve) (Point, bool) {
	if c == nil {
		return Point{}, false
	}
	for _, p := range slices.Backward(c.Points) {
		if !math.IsNaN(p.Prevalence.Mean) {
			return p, true
		}
	}
	return Point{}, false
}

// peak gives the point of a curve with the highest mean.
func peak(c *Curve) (top Point, ok bool) {
	if c == nil {
		return top, false
	}
	for _, p := range c.Points {
		if !math.IsNaN(p.Prevalence.Mean) && (!ok || p.Prevalence.Mean > top.Prevalence.Mean) {
			top, ok = p, true
		}
	}
	return top, ok
}

// number is an estimate as the page carries it.
func (x *index) number(v float64) number {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return number(math.NaN())
	}
	short, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', x.digits, 64), 64)
	return number(short)
}

// share is the prevalence in one replicate, NaN where nothing could be scored.
func share(t lineage.Tally) float64 {
	if t.N() == 0 {
		return math.NaN()
	}
	return float64(t.Present) / float64(t.N())
}
