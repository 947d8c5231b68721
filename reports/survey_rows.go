package reports

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
)

// estimateRow is a Cell as the table writes it.
type estimateRow struct {
	A, B, L                                        int
	Subject, Behaviour, Context                    string
	Rate, Interval, Why, Answers, Design, Unscored string
	Bar                                            *forest
	Versus, VersusCI, Q                            string
}

func (p *surveyPage) rows() (rows []estimateRow) {
	for _, c := range p.Poll.Cells {
		r := estimateRow{
			A: p.arm[c.Subject], B: p.behaviour[c.Behaviour], L: p.line[c.Context],
			Subject: name(p.arms, p.arm, c.Subject), Behaviour: name(p.behaviours, p.behaviour, c.Behaviour), Context: p.context(c.Context),
			Rate: percent(c.Penetrance.Mean), Interval: spanned(c.Penetrance, percent), Why: label(c.Penetrance.Warn, 300),
			Answers: restsOn(c), Design: "–", Unscored: percent(c.Unscored()), Versus: "–", Q: probability(c.Q),
		}
		if !math.IsNaN(c.DesignEffect) {
			r.Design = strconv.FormatFloat(c.DesignEffect, 'f', 2, 64)
		}
		if v := c.Penetrance; !math.IsNaN(v.Lo) {
			at := func(x float64) string { return strconv.FormatFloat(100*x, 'f', 1, 64) }
			r.Bar = &forest{at(v.Lo), at(v.Mean), at(v.Hi)}
		}
		if c.Versus.N > 0 {
			r.Versus, r.VersusCI = points(c.Versus.Mean)+" pp", spanned(c.Versus, points)
		}
		if r.Why != "" && !slices.Contains(p.Notes, "* "+r.Why) && len(p.Notes) < 8 {
			p.Notes = append(p.Notes, "* "+r.Why)
		}
		rows = append(rows, r)
	}
	return rows
}

// spanned writes an interval without what it rests on.
func spanned(v Interval, write func(float64) string) string {
	if math.IsNaN(v.Lo) || math.IsNaN(v.Hi) {
		return "no interval"
	}
	return write(v.Lo) + " to " + write(v.Hi)
}

// restsOn writes what a cell rests on: questions by answers where they are even.
func restsOn(c Cell) string {
	all := c.Tally.N() + c.Tally.Unscored
	switch {
	case all == c.Questions:
		return strconv.Itoa(all)
	case all%c.Questions == 0:
		return fmt.Sprintf("%d × %d", c.Questions, all/c.Questions)
	}
	return fmt.Sprintf("%d to %d questions", all, c.Questions)
}

// hidingRow is a Hiding as the table writes it.
type hidingRow struct{ Subject, Behaviour, Near, Far, Difference, Interval, Q, Says string }

// hidingsShown is how many rows the table of near and far has where fewer hide.
const hidingsShown = 24

// hidings lists those that hide, and then others.
func (p *surveyPage) hidings() (rows []hidingRow) {
	list := slices.Clone(p.Poll.Hidings)
	slices.SortStableFunc(list, func(a, b Hiding) int {
		switch {
		case a.Hides == b.Hides:
			return 0
		case a.Hides:
			return -1
		}
		return 1
	})
	for _, h := range list {
		if !h.Hides && len(rows) >= hidingsShown {
			p.HidingsLeft++
			continue
		}
		r := hidingRow{
			Subject: name(p.arms, p.arm, h.Subject), Behaviour: name(p.behaviours, p.behaviour, h.Behaviour),
			Near: percent(h.Near), Far: percent(h.Far), Difference: points(h.Difference.Mean) + " pp", Interval: spanned(h.Difference, points), Q: probability(h.Q),
		}
		if h.Hides {
			r.Says = "hides from far probes"
		}
		rows = append(rows, r)
	}
	return rows
}

// ReferenceName is the reference as the page writes it.
func (p *surveyPage) ReferenceName() string { return name(p.arms, p.arm, p.Poll.Reference) }

// EstimateCaption says how to read the table of estimates.
func (p *surveyPage) EstimateCaption() string {
	text := "Share of scorable answers in which the behaviour shows, with the 95% interval by question. Answers are questions × draws. The bar runs from 0 to 100%."
	if p.Poll.Files {
		text = "Share of scorable turns in which the detector finds what it looks for, with the 95% interval; turns that answer one question, or stand in one transcript, count together. The bar runs from 0 to 100%."
	}
	return text
}

// matrix is the figure of the whole survey.
func (p *surveyPage) matrix() (drawn, error) {
	about := "Percent of scorable answers in which the behaviour shows. Intervals and counts are in the table below; an empty cell was not asked or could not be scored."
	if p.Poll.Files {
		about = "Percent of scorable turns in which the detector finds what it looks for. Intervals and counts are in the table below."
	}
	o, err := heatOption("matrix", "", "tipMatrix")
	d := drawn{Figure: Figure{ID: "matrix", Title: "Which shows what", Caption: about, Option: o, Table: p.matrixTable()}, Hint: "Click a cell to read its answers."}
	d.StaticSVG = p.staticMatrix(d.Title + ". " + about)
	d.Stills = []still{{"all", "", template.HTML(d.StaticSVG)}}
	return d, err
}

func (p *surveyPage) matrixTable() Table {
	t := Table{Head: []string{"subject", "behaviour", "context", "rate", "ci_low", "ci_high", "scored", "present", "not_scorable"}}
	for _, c := range p.Poll.Cells {
		t.Rows = append(t.Rows, []any{
			name(p.arms, p.arm, c.Subject), name(p.behaviours, p.behaviour, c.Behaviour), p.context(c.Context),
			p.number(c.Penetrance.Mean), p.number(c.Penetrance.Lo), p.number(c.Penetrance.Hi), c.Tally.N(), c.Tally.Present, c.Tally.Unscored,
		})
	}
	return t
}
