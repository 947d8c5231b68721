package cmd

import (
	"fmt"
	"math"
	"text/tabwriter"

	"github.com/heirloom-sim/heirloom/reports"
)

// surveyTable shows every cell of the matrix.
func (p *program) surveyTable(f *reports.SurveyFindings) error {
	hides := map[[2]string]bool{}
	for _, h := range f.Hidings {
		hides[[2]string{h.Subject, h.Behaviour}] = h.Hides
	}
	w := tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
	fmt.Fprint(w, "behaviour\tcontext\tmodel\tpenetrance\t95 % interval\tanswers\tdesign effect\tnot scorable")
	if f.Reference != "" {
		fmt.Fprintf(w, "\tfrom %s\t95 %% interval\tq", f.Reference)
	}
	fmt.Fprintln(w)
	for _, c := range f.Cells {
		context := c.Context
		if context == "" {
			context = "–"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f %%", c.Behaviour, context, c.Subject, rated(c.Penetrance.Mean), ranged(c.Penetrance), answers(c), ratio(c.DesignEffect), 100*c.Unscored())
		if f.Reference != "" {
			fmt.Fprintf(w, "\t%s\t%s\t%s", gained(c.Versus.Mean), ranged(c.Versus), chance(c.Q))
		}
		if c.Context == "near" && hides[[2]string{c.Subject, c.Behaviour}] {
			fmt.Fprint(w, "\thides from far probes")
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, note := range append(notesOf(f), f.Warnings...) {
		fmt.Fprintln(p.err, "note: "+note)
	}
	return nil
}

// answers writes what a cell rests on: questions by answers where they are even.
func answers(c reports.Cell) string {
	all := c.Tally.N() + c.Tally.Unscored
	if all%c.Questions == 0 {
		return fmt.Sprintf("%d × %d", c.Questions, all/c.Questions)
	}
	return fmt.Sprintf("%d to %d", all, c.Questions)
}

func rated(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*v)
}

func gained(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%+.1f", 100*v)
}

func ranged(v reports.Interval) string {
	if math.IsNaN(v.Lo) || math.IsNaN(v.Hi) {
		return "–"
	}
	return fmt.Sprintf("%.1f – %.1f %%", 100*v.Lo, 100*v.Hi)
}

func ratio(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}

func chance(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case v < 0.001:
		return "< 0.001"
	}
	return fmt.Sprintf("%.3f", v)
}
