package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"math"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
)

// still is a static figure of one choice of the reader.
type still struct {
	Key, Name string // Key is what the script knows the choice by
	SVG       template.HTML
}

// drawn is a Figure with the static figures of other choices.
type drawn struct {
	Figure
	Hint   string // what the interactive figure answers to
	Stills []still
}

// First gives the first rows of the table, for readers without scripts, or nil.
func (d drawn) First() *Table {
	if len(d.Table.Rows) == 0 {
		return nil
	}
	return &Table{Head: d.Table.Head, Rows: d.Table.Rows[:min(len(d.Table.Rows), 300)]}
}

// Limits of what a page without the chart library draws for other choices.
const (
	stillCount = 24
	stillBytes = 500_000
)

// figures lists the figures of a page from top to bottom. With every, static
// figures are drawn for other choices than the opening one as well.
func (x *index) figures(every bool) ([]drawn, error) {
	var fault error
	made := func(encoded json.RawMessage, err error) json.RawMessage {
		fault = errors.Join(fault, err)
		return encoded
	}
	n := x.Study.Replicates
	list := []drawn{
		{Figure: Figure{
			ID: "prevalence", Title: "Prevalence by generation", Height: 430, Option: made(curvesOption("prevalence")),
			Caption: fmt.Sprintf("Share of outputs in which the detector finds the behaviour: mean over %s, %s. "+
				"Grey and dashed is the control, where nothing is seeded. Hatched is where that mean stays in 95%% of cases if texts are copied without selection, for the arm in detail.", counted(n, "replicate"), x.intervalText()) + x.correctedText(lineage.Outputs),
			Table: x.curveTable(x.compared(), x.opens.Line, []int{x.opens.Behaviour}, lineage.Outputs),
		}, Hint: "Click a point to read samples."},
		{Figure: Figure{
			ID: "replicates", Title: "Every replicate, one panel an arm", Option: made(panelsOption("replicates")),
			Caption: fmt.Sprintf("Thin lines are single lineages (%s), thick lines are means. Grey and dashed is the control's mean. "+
				"Hatched is where 95%% of single lineages stay if texts are copied without selection. All panels share one scale.", x.drawnText()) + x.readText(),
		}},
		{Figure: Figure{
			ID: "heat", Title: "Prevalence at a glance", Option: made(heatOption("heat", "Model generation", "tipHeat")),
			Caption: fmt.Sprintf("Mean prevalence over %s in percent; intervals and counts are in the table.", counted(n, "replicate")) + x.readText(),
			Table:   x.heatTable(),
		}, Hint: "Click a cell to read samples."},
		{Figure: Figure{
			ID: "descent", Title: "Who learned from whom", Option: made(descentOption("descent")),
			Caption: fmt.Sprintf("Each circle is a model, coloured by the mean prevalence over %s. Solid arrows are text: their width is the share of the corpus that the older model wrote. "+
				"Dashed lines are weights: where training started from. Squares below are outside sources, diamonds are seeds, their stroke as wide as their share. "+
				"Strands below %g%% of a corpus are left out, and so are all but the %d thickest of a model.", counted(n, "replicate"), thinnest*100, thickest),
		}, Hint: "Click a model to read samples."},
		{Figure: Figure{
			ID: "penetrance", Title: "Penetrance on probes", Height: 380, Option: made(curvesOption("penetrance")),
			Caption: fmt.Sprintf("Share of answers to the behaviour's own probe questions in which it shows: mean over %s, %s. Never pooled with prevalence.", counted(n, "replicate"), x.intervalText()) + x.correctedText(lineage.Probes),
			Table:   x.curveTable(x.compared(), x.opens.Line, []int{x.opens.Behaviour}, lineage.Probes),
		}, Hint: "Click a point to read samples."},
	}
	if !slices.ContainsFunc(x.Curves, func(c Curve) bool { return c.Part == lineage.Probes }) {
		list = list[:len(list)-1]
	}
	x.draw(list, every)
	return list, fault
}

// draw adds the static figures: first those that the page opens with.
func (x *index) draw(list []drawn, every bool) {
	size := 0
	add := func(d *drawn, key, name, image string) {
		if len(d.Stills) > 0 && (size+len(image) > stillBytes || len(d.Stills) == stillCount) {
			return
		}
		size += len(image)
		d.Stills = append(d.Stills, still{key, name, template.HTML(image)})
	}
	for i := range list {
		d := &list[i]
		part := lineage.Outputs
		switch d.ID {
		case "penetrance":
			part = lineage.Probes
			fallthrough
		case "prevalence":
			x.choices(every, func(behaviour, line int) {
				add(d, fmt.Sprintf("%d/%d", behaviour, line), x.behaviours[behaviour]+" · "+x.lines[line],
					x.staticPrevalence(behaviour, line, part, d.Title+". "+d.Caption))
			})
		case "heat":
			x.choices(every, func(behaviour, line int) {
				if len(x.behaviours) > 1 && behaviour != x.opens.Behaviour {
					return
				}
				key, name := fmt.Sprintf("arms/%d/%d", behaviour, line), x.behaviours[behaviour]+" · "+x.lines[line]
				if len(x.behaviours) > 1 {
					key, name = fmt.Sprintf("behaviours/%d/%d", x.opens.Arm, line), x.arms[x.opens.Arm]+" · "+x.lines[line]
				}
				add(d, key, name, x.staticHeat(x.heatRows(line), d.Title+". "+d.Caption))
			})
		}
		if len(d.Stills) > 0 {
			d.StaticSVG = string(d.Stills[0].SVG)
		}
	}
}

// choices calls f with the opening behaviour and line, then, with every, with all others.
func (x *index) choices(every bool, f func(behaviour, line int)) {
	if len(x.behaviours) == 0 || len(x.lines) == 0 {
		return
	}
	f(x.opens.Behaviour, x.opens.Line)
	for b := range x.behaviours {
		for l := range x.lines {
			if every && (b != x.opens.Behaviour || l != x.opens.Line) {
				f(b, l)
			}
		}
	}
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (x *index) drawnText() string {
	if d := x.drawnReplicates(); d < x.Study.Replicates {
		return fmt.Sprintf("the first %d of %d replicates, which are independent and alike", d, x.Study.Replicates)
	}
	if x.Study.Replicates == 1 {
		return "the only replicate"
	}
	return "all " + counted(x.Study.Replicates, "replicate")
}

func (x *index) intervalText() string {
	if x.Study.Replicates < 5 {
		return "without an interval, which takes five replicates"
	}
	return "with its 95% interval as a band"
}

// correctedText says how the figure shows what is corrected, where something is.
func (x *index) correctedText(part string) string {
	for _, arm := range x.compared() {
		if c := x.curve(arm, x.opens.Line, x.opens.Behaviour, part); corrects(c) {
			return " Thick lines and bands are corrected for the detector's errors, thin lines are the rates as it reads them."
		}
	}
	return ""
}

// readText says of figures of raw rates that they are, where others are corrected.
func (x *index) readText() string {
	if x.Corrects() {
		return " Rates are as the detector reads them."
	}
	return ""
}

// corrects says whether any point of a curve is corrected.
func corrects(c *Curve) bool {
	return c != nil && slices.ContainsFunc(c.Points, func(p Point) bool { return p.Method != "" })
}

// curveHead names the columns of curves; assets/views.js has the same.
var curveHead = []string{
	"arm", "line", "behaviour", "generation", "mean", "ci_low", "ci_high", "replicates",
	"difference", "difference_low", "difference_high", "present", "scored", "not_scorable", "neutral_low", "neutral_high",
	"corrected", "corrected_low", "corrected_high", "method", "corrected_difference", "corrected_difference_low", "corrected_difference_high",
	"corrected_neutral_low", "corrected_neutral_high", "questions", "effective_n", "design_effect", "question_low", "question_high",
}

func (x *index) curveTable(arms []int, line int, behaviours []int, part string) Table {
	t := Table{Head: curveHead}
	for _, b := range behaviours {
		for _, a := range arms {
			c := x.curve(a, line, b, part)
			if c == nil {
				continue
			}
			for _, p := range c.Points {
				t.Rows = append(t.Rows, append([]any{x.arms[a], x.lines[line], x.behaviours[b]}, x.pointCells(p, part)...))
			}
		}
	}
	return t
}

func (x *index) heatTable() Table {
	if len(x.behaviours) > 1 {
		behaviours := make([]int, len(x.behaviours))
		for i := range behaviours {
			behaviours[i] = i
		}
		return x.curveTable([]int{x.opens.Arm}, x.opens.Line, behaviours, lineage.Outputs)
	}
	arms := make([]int, len(x.arms))
	for i := range arms {
		arms[i] = i
	}
	return x.curveTable(arms, x.opens.Line, []int{x.opens.Behaviour}, lineage.Outputs)
}

func (x *index) pointCells(p Point, part string) []any {
	versus, neutral := p.Difference, p.Neutral
	if versus.N == 0 {
		versus = Interval{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
	}
	if !neutral.Valid || part == lineage.Probes {
		neutral.MeanLo, neutral.MeanHi = math.NaN(), math.NaN()
	}
	v, e, d, b, a := p.Prevalence, p.Corrected, p.CorrectedDifference, p.CorrectedNeutral, p.Asked
	if p.Method == "" {
		e = nothing("")
	}
	if p.DifferenceMethod == "" {
		d = nothing("")
	}
	if !b.Valid || part == lineage.Probes {
		b = noBand()
	}
	cells := []any{
		p.Generation, x.number(v.Mean), x.number(v.Lo), x.number(v.Hi), v.N,
		x.number(versus.Mean), x.number(versus.Lo), x.number(versus.Hi),
		p.Pooled.Present, p.Pooled.N(), p.Pooled.Unscored, x.number(neutral.MeanLo), x.number(neutral.MeanHi),
		x.number(e.Mean), x.number(e.Lo), x.number(e.Hi), p.Method, x.number(d.Mean), x.number(d.Lo), x.number(d.Hi),
		x.number(b.MeanLo), x.number(b.MeanHi),
	}
	if a.Questions == 0 {
		return append(cells, "", "", "", "", "")
	}
	return append(cells, a.Questions, x.number(a.EffectiveN), x.number(a.DesignEffect), x.number(a.Interval.Lo), x.number(a.Interval.Hi))
}
