package reports

import (
	"fmt"
	"math"
	"slices"
)

func (f *SurveyFindings) warn() {
	var lost, empty []string
	for _, c := range f.Cells {
		switch name := f.cellName(c); {
		case c.Tally.N() == 0:
			empty = append(empty, name)
		case c.Unscored() > muchUnscored:
			lost = append(lost, fmt.Sprintf("%s (%s)", name, percent(c.Unscored())))
		}
	}
	if len(empty) > 0 {
		f.Warnings = append(f.Warnings, fmt.Sprintf("No answer could be scored of %s; that is no evidence of absence.", someOf(empty, 4)))
	}
	if len(lost) > 0 {
		f.Warnings = append(f.Warnings, fmt.Sprintf("Many answers could not be scored of %s; rates are of the rest.", someOf(lost, 4)))
	}
	weak := 0
	for _, c := range f.Cells {
		if !math.IsNaN(c.P) && c.Paired && c.Versus.N < fewestSigns {
			weak++
		}
	}
	if weak > 0 {
		f.Warnings = append(f.Warnings, fmt.Sprintf("%d of %s with %s rest on fewer than %d questions, from which no test by question can be certain of a difference. More questions help, more draws do not.", weak, plural(f.comparisons(), "comparison"), brief(f.Reference, 40), fewestSigns))
	}
	for _, s := range f.Subjects {
		if !slices.ContainsFunc(f.Cells, func(c Cell) bool { return c.Subject == s.Name }) {
			f.Warnings = append(f.Warnings, fmt.Sprintf("%s has no answers.", brief(s.Name, 60)))
		}
	}
}

// cellName says which cell is meant.
func (f *SurveyFindings) cellName(c Cell) string {
	name := brief(c.Subject, 60) + ": " + brief(f.behaviourTitle(c.Behaviour), 60)
	if context := contextName(c.Context, f.Files); context != "" && len(f.Contexts) > 1 {
		name += " (" + context + ")"
	}
	return name
}

func (s Survey) behaviourTitle(name string) string {
	for _, b := range s.Behaviours {
		if b.Name == name && b.Title != "" {
			return b.Title
		}
	}
	return name
}

// contextName is how a reader knows a context.
func contextName(c string, files bool) string {
	switch {
	case c == "near" || c == "far":
		return c + " probes"
	case c != "":
		return brief(c, 40)
	case files:
		return ""
	}
	return "as written"
}

// headline says the strongest thing that was found, and no more.
func (f *SurveyFindings) headline() {
	scored := slices.DeleteFunc(slices.Clone(f.Cells), func(c Cell) bool { return c.Tally.N() == 0 })
	top := func(rank func(Cell) float64) (best Cell, value float64) {
		for _, c := range scored {
			if v := rank(c); v > value {
				best, value = c, v
			}
		}
		return best, value
	}
	if c, gap := top(func(c Cell) float64 {
		if c.Q < significant {
			return math.Abs(c.Versus.Mean)
		}
		return 0
	}); gap > 0 {
		often := "more often"
		if c.Versus.Mean < 0 {
			often = "less often"
		}
		f.Title = fmt.Sprintf("%s shows %s %s than %s: %s%s (q %s over %s)", brief(c.Subject, 60), f.behaviourTitle(c.Behaviour), often,
			brief(f.Reference, 60), inPoints(c.Versus.Mean), f.on(c), isAt(c.Q), plural(f.comparisons(), "comparison"))
		return
	}
	c, rate := top(func(c Cell) float64 { return c.Penetrance.Mean })
	switch {
	case len(scored) == 0:
		f.Title = "No answer could be scored"
	case rate == 0:
		f.Title = fmt.Sprintf("Not one of %s shows what was looked for", plural(f.scored(), "answer"))
	default:
		most := ""
		if len(scored) > 1 {
			most = fmt.Sprintf(", the most of %d estimates", len(scored))
		}
		if f.Files {
			f.Title = fmt.Sprintf("%s finds %s of %s in %s%s", brief(c.Behaviour, 60), percent(rate), plural(c.Tally.N(), "turn"), brief(c.Subject, 80), most)
			return
		}
		f.Title = fmt.Sprintf("%s shows %s in %s of %s%s%s", brief(c.Subject, 60), f.behaviourTitle(c.Behaviour), percent(rate), plural(c.Tally.N(), "answer"), f.on(c), most)
		if f.comparisons() > 0 {
			f.Title += "; no difference from " + brief(f.Reference, 60) + " is certain"
		}
	}
}

// on says in which context, where that is known.
func (f *SurveyFindings) on(c Cell) string {
	if c.Context == "" {
		return ""
	}
	return " on " + contextName(c.Context, f.Files)
}

func (f *SurveyFindings) scored() (n int) {
	for _, c := range f.Cells {
		n += c.Tally.N()
	}
	return n
}

func (f *SurveyFindings) comparisons() (n int) {
	for _, c := range f.Cells {
		if !math.IsNaN(c.Q) {
			n++
		}
	}
	return n
}
