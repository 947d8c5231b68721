package reports

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// page is what the template writes. Its text is raw where the template passes it
// through visible or line, and ready everywhere else.
type page struct {
	*index
	shell
	Numbers  []headline
	Figures  []drawn
	Verdicts []verdictRow
	Elicited []string // what probes show that differs from the control
}

// headline is one of the numbers at the top.
type headline struct{ Hue, Title, Value, Interval, Corrected, Condition string }

func newPage(f *Findings, o PageOptions) (*page, error) {
	x := newIndex(f)
	around, err := newShell(o, scripts)
	if err != nil {
		return nil, err
	}
	p := &page{index: x, shell: around}
	p.Headline = cmp.Or(label(f.Title, 300), label(f.Study.Name, 300), "Report")
	if p.Figures, err = x.figures(p.Library == nil); err != nil {
		return nil, err
	}
	options := map[string]json.RawMessage{}
	if p.Library != nil {
		for _, d := range p.Figures {
			options[d.ID] = d.Option
		}
	}
	if p.Data, err = newBlock(x.island(options)); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	if p.Texts, err = newBlock(x.samples()); err != nil {
		return nil, fmt.Errorf("report: samples: %w", err)
	}
	p.Numbers, p.Verdicts, p.Elicited = x.headlines(), x.verdictRows(), x.elicited()
	return p, nil
}

// headlines are four numbers of the arm in detail: where it ended, how far from
// the control, the control itself, and its peak.
func (x *index) headlines() []headline {
	o := x.opens
	c := x.curve(o.Arm, o.Line, o.Behaviour, lineage.Outputs)
	end, ok := last(c)
	if !ok {
		return nil
	}
	behaviour, hue := x.behaviours[o.Behaviour], x.hue(o.Arm)
	where := func(arm, generation int) string {
		return fmt.Sprintf("%s · %s · generation %d", x.arms[arm], x.lines[o.Line], generation)
	}
	level := func(hue, title string, arm int, p Point) headline {
		return headline{hue, behaviour + title, percent(p.Prevalence.Mean), between(p.Prevalence, percent), p.correctedText(), where(arm, p.Generation)}
	}
	list := []headline{level(hue, ", final", o.Arm, end)}
	if end.Difference.N > 0 {
		h := headline{hue, "Difference from control", points(end.Difference.Mean) + " pp", between(end.Difference, points), "", where(o.Arm, end.Generation)}
		if d := end.CorrectedDifference; end.DifferenceMethod != "" {
			h.Corrected = "Corrected " + points(d.Mean) + " pp" + ranging(d, points)
		}
		for _, v := range x.Verdicts {
			if x.arm[v.Arm] == o.Arm && x.line[v.Line] == o.Line && x.behaviour[v.Behaviour] == o.Behaviour && !math.IsNaN(v.Q) {
				h.Condition += " · " + strings.ReplaceAll(fmt.Sprintf("p %s, q %s", isAt(v.P), isAt(v.Q)), " ", "\u00a0")
			}
		}
		list = append(list, h)
	}
	if len(o.Controls) > 0 && o.Controls[0] != o.Arm {
		if q, ok := last(x.curve(o.Controls[0], o.Line, o.Behaviour, lineage.Outputs)); ok {
			list = append(list, level("s5", ", control", o.Controls[0], q))
		}
	}
	if q, ok := peak(c); ok {
		list = append(list, level(hue, ", peak", o.Arm, q))
	}
	return list
}

// correctedText writes what a point comes to without the detector's errors.
func (p Point) correctedText() string {
	if p.Method == "" {
		return ""
	}
	return "Corrected " + percent(p.Corrected.Mean) + ranging(p.Corrected, percent)
}

// ranging writes an interval after its estimate.
func ranging(v Interval, write func(float64) string) string {
	if math.IsNaN(v.Lo) || math.IsNaN(v.Hi) {
		return ""
	}
	return ", " + write(v.Lo) + " to " + write(v.Hi)
}

// points writes a difference of shares in percentage points.
func points(v float64) string { return signed(v*100, 1) }

// armRow is an arm as the table of arms writes it.
type armRow struct {
	Name, About  string
	Cell, Events []string
	Doses        []string
	Blocked      []string
}

// ArmRows lists the arms with what was done in them.
func (x *index) ArmRows() []armRow {
	var rows []armRow
	for i, a := range x.Study.Arms {
		r := armRow{Name: x.arms[i], About: visible(a.About)}
		for _, k := range slices.Sorted(maps.Keys(a.Cell)) {
			r.Cell = append(r.Cell, label(k+" = "+a.Cell[k], 120))
		}
		for _, e := range a.Events {
			lines := "all lines"
			if len(e.Lines) > 0 {
				lines = label(strings.Join(e.Lines, ", "), 200)
			}
			r.Events = append(r.Events, eventText(e)+", "+lines)
		}
		for _, b := range x.Blocked {
			if b.Arm == a.Name {
				r.Blocked = append(r.Blocked, label(b.Line, 60)+", "+label(b.Sentence(), 300))
			}
		}
		for _, d := range x.Doses {
			if d.Arm == a.Name {
				r.Doses = append(r.Doses, fmt.Sprintf("seeds of %s in %s, generation %d: %s of %s documents",
					name(x.behaviours, x.behaviour, d.Behaviour), name(x.lines, x.line, d.Line), d.Generation, rounded(d.Seeds), rounded(d.Documents)))
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// rounded writes a mean count with one digit where it has one.
func rounded(v float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// verdictRow is a Verdict as the table writes it.
type verdictRow struct {
	Arm, Line, Behaviour, Sentence   string
	A, L, B                          int
	Hue                              string
	Final, FinalCI, Versus, VersusCI string
	Corrected, CorrectedVersus       string
	Forest                           *forest
	P, Q, Against                    string
	Trend                            []estimate
	Fates                            string
}

// estimate is a number with its interval and what it is of, or a dash and why.
type estimate struct{ Of, Value, Interval, Why string }

// forest places an interval on a scale that all rows of the table share; x runs
// from 0 to 100, and zero is in the middle.
type forest struct{ Lo, Mean, Hi string }

// elicited are the verdicts on probes that hold.
func (x *index) elicited() (all []string) {
	for _, v := range x.Elicited {
		if v.Q < significant {
			all = append(all, brief(v.Arm, 30)+": "+v.Sentence)
		}
	}
	return all
}

func (x *index) verdictRows() []verdictRow {
	reach := 0.0
	for _, v := range x.Verdicts {
		for _, d := range []float64{v.Versus.Mean, v.Versus.Lo, v.Versus.Hi} {
			if !math.IsNaN(d) && v.Versus.N > 0 {
				reach = max(reach, math.Abs(d))
			}
		}
	}
	var rows []verdictRow
	for _, v := range x.Verdicts {
		a, okA := x.arm[v.Arm]
		l, okL := x.line[v.Line]
		b, okB := x.behaviour[v.Behaviour]
		if !okA || !okL || !okB {
			continue
		}
		r := verdictRow{
			Arm: x.arms[a], Line: x.lines[l], Behaviour: x.behaviours[b], Sentence: v.Sentence, A: a, L: l, B: b, Hue: x.hue(a),
			Final: percent(v.Final.Mean), FinalCI: bounds(v.Final, percent),
			P: probability(v.P), Q: probability(v.Q), Against: cmp.Or(v.Against, "–"), Versus: "–",
		}
		if v.Versus.N > 0 {
			r.Versus, r.VersusCI, r.Forest = points(v.Versus.Mean)+" pp", bounds(v.Versus, points), newForest(v.Versus, reach)
		}
		if v.Method != "" {
			r.Corrected = "corrected " + percent(v.Corrected.Mean) + ranging(v.Corrected, percent)
			if !math.IsNaN(v.CorrectedVersus.Mean) {
				r.CorrectedVersus = "corrected " + points(v.CorrectedVersus.Mean) + " pp" + ranging(v.CorrectedVersus, points)
			}
		}
		x.trend(&r, x.curve(a, l, b, lineage.Outputs))
		rows = append(rows, r)
	}
	return rows
}

func newForest(v Interval, reach float64) *forest {
	if math.IsNaN(v.Mean) || reach == 0 {
		return nil
	}
	at := func(d float64) string { return strconv.FormatFloat(50+47*d/reach, 'f', 1, 64) }
	if math.IsNaN(v.Lo) || math.IsNaN(v.Hi) {
		return &forest{at(v.Mean), at(v.Mean), at(v.Mean)}
	}
	return &forest{at(v.Lo), at(v.Mean), at(v.Hi)}
}

// trend writes how the curve went after the last seeding.
func (x *index) trend(r *verdictRow, c *Curve) {
	if c == nil || c.Trend.To <= c.Trend.From {
		return
	}
	t := c.Trend
	if t.Lost+t.Fixed > 0 {
		r.Fates = fmt.Sprintf("lost in %d, fixed in %d of %d", t.Lost, t.Fixed, t.Replicates)
	}
	if t.Slope.N == 0 {
		r.Trend = []estimate{{Value: "–", Why: label(t.Slope.Warn, 200)}}
		return
	}
	for _, e := range []struct {
		of    string
		v     Interval
		write func(float64) string
	}{
		{"Reproduction", t.Reproduction, func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }},
		{"Half-life", t.HalfLife, halfLife},
		{"Slope", t.Slope, func(v float64) string { return signed(v, 2) }},
	} {
		if e.v.N > 0 && !math.IsNaN(e.v.Mean) {
			r.Trend = append(r.Trend, estimate{Of: e.of, Value: e.write(e.v.Mean), Interval: bounds(e.v, e.write)})
		} else {
			r.Trend = append(r.Trend, estimate{Of: e.of, Value: "–", Why: label(e.v.Warn, 200)})
		}
	}
}

// halfLife writes a half-life in generations.
func halfLife(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, 0):
		return "no decay"
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}
