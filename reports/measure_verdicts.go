package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

// significant is the false-discovery rate at which a difference is called one.
const significant = 0.05

// fewestSigns is the number of replicates from which a sign-flip test can reach
// p < .05.
const fewestSigns = 6

// verdicts answers for every behaviour in every line of every arm that has a
// baseline, at its last measured generation: for what is published, and apart
// from it for what probes elicit, where alone a hidden trait shows. Each is a
// family of comparisons of its own.
func (m *measurement) verdicts() {
	m.Verdicts = m.judged(lineage.Outputs)
	m.Elicited = m.judged(lineage.Probes)
}

func (m *measurement) judged(part string) (all []Verdict) {
	var ps []float64
	for i := range m.Curves {
		c := &m.Curves[i]
		base := m.baseline(c)
		if base == nil || c.Part != part || !m.first(c) {
			continue
		}
		v := Verdict{
			Part: part, Arm: c.Arm, Line: c.Line, Behaviour: c.Behaviour, P: math.NaN(),
			Corrected: nothing("nothing was measured"), CorrectedVersus: nothing("nothing was measured"),
			Final: nothing("nothing was measured"), Peak: nothing("nothing was measured"), Versus: nothing("nothing was measured"),
			Seeded: slices.ContainsFunc(m.Doses, func(d Dose) bool {
				return d.Arm == c.Arm && d.Line == c.Line && d.Behaviour == c.Behaviour
			}),
		}
		if g := c.last(); g >= 0 {
			last := c.Points[g]
			v.Generation, v.Final, v.Versus = g, last.Prevalence, last.Difference
			v.Corrected, v.Method, v.CorrectedVersus = last.Corrected, last.Method, last.CorrectedDifference
			v.P = popgen.SignFlip(popgen.Differences(c.at(g), base.at(g)), nil)
			v.Against = against(last)
			for _, p := range c.Points {
				if p.Prevalence.N > 0 && !(p.Prevalence.Mean <= v.Peak.Mean) {
					v.Peak, v.PeakGeneration = p.Prevalence, p.Generation
				}
			}
		}
		ps = append(ps, v.P)
		all = append(all, v)
	}
	for i, q := range popgen.BenjaminiHochberg(ps) {
		all[i].Q = q
		all[i].Sentence = m.sentence(all[i], len(all))
	}
	return all
}

// first says whether a curve is of the detector that judges its behaviour.
func (m *measurement) first(c *Curve) bool {
	return slices.ContainsFunc(m.watches, func(w watch) bool {
		return w.first && w.behaviour.Name == c.Behaviour && w.detector.Name == c.Detector
	})
}

// against places the mean of a point in the neutral band of the mean.
func against(p Point) string {
	const slack = 1e-9
	switch {
	case !p.Neutral.Valid || p.Prevalence.N == 0:
		return ""
	case p.Prevalence.Mean > p.Neutral.MeanHi+slack:
		return "above"
	case p.Prevalence.Mean < p.Neutral.MeanLo-slack:
		return "below"
	}
	return "within"
}

// sentence says what a verdict among so many found, and no more.
func (m *measurement) sentence(v Verdict, among int) string {
	what := fmt.Sprintf("%s in %s", m.title(v.Behaviour), brief(v.Line, 30))
	if v.Part == lineage.Probes {
		what += ", when probed,"
	}
	if math.IsNaN(v.Q) {
		return fmt.Sprintf("No evidence either way: %s was not measured in both this arm and its control.", what)
	}
	var b strings.Builder
	switch {
	case !(v.Q < significant):
		fmt.Fprintf(&b, "No evidence of spread: %s is", what)
	case v.Versus.Mean < 0:
		fmt.Fprintf(&b, "Rarer than in the control: %s is", what)
	case v.Seeded:
		fmt.Fprintf(&b, "Present where it was seeded: %s is", what)
	default:
		fmt.Fprintf(&b, "Spread to where it was never seeded: %s is", what)
	}
	fmt.Fprintf(&b, " at %s in generation %d, %s from the control", percent(v.Final.Mean), v.Generation, inPoints(v.Versus.Mean))
	if !math.IsNaN(v.Versus.Lo) {
		fmt.Fprintf(&b, " (95%% interval %s to %s)", gain(v.Versus.Lo), gain(v.Versus.Hi))
	}
	fmt.Fprintf(&b, "; q %s over %s.", isAt(v.Q), plural(v.Versus.N, "replicate"))
	switch v.Against {
	case "above", "below":
		fmt.Fprintf(&b, " The mean lies %s the band of copying alone.", v.Against)
	case "within":
		b.WriteString(" The mean lies within the band of copying alone.")
	}
	if v.P < significant && !(v.Q < significant) {
		fmt.Fprintf(&b, " Alone it would differ (p %s); among %s it does not.", isAt(v.P), plural(among, "comparison"))
	}
	return b.String() + corrections(v)
}

// corrections adds what a verdict comes to without the detector's errors.
func corrections(v Verdict) string {
	if v.Method == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString(map[string]string{RoganGladen: " Corrected for the detector's errors", PPI: " By labels of these texts"}[v.Method])
	fmt.Fprintf(&b, " the rate is %s", percent(v.Corrected.Mean))
	if !math.IsNaN(v.Corrected.Lo) {
		fmt.Fprintf(&b, " (95%% interval %s to %s)", percent(v.Corrected.Lo), percent(v.Corrected.Hi))
	}
	if !math.IsNaN(v.CorrectedVersus.Mean) {
		fmt.Fprintf(&b, ", %s from the control", inPoints(v.CorrectedVersus.Mean))
		if !math.IsNaN(v.CorrectedVersus.Lo) {
			fmt.Fprintf(&b, " (%s to %s)", gain(v.CorrectedVersus.Lo), gain(v.CorrectedVersus.Hi))
		}
	}
	b.WriteByte('.')
	return b.String()
}

// headline states the finding and the set-up.
func (m *measurement) headline() {
	m.Title, m.Lead = m.finding()
	if len(m.Missing) > 0 {
		m.Title = "So far: " + m.Title
	}
	m.Title = brief(m.Title, 110)
	m.Setup = m.design() + "\n" + m.method()
}

// fewest is the number of replicates from which one real difference among the
// verdicts can be found: 2/2^n, the least p, times the number of comparisons
// must come below the rate of false discoveries.
func (m *measurement) fewest() int {
	n := fewestSigns
	for math.Ldexp(2, -n)*float64(len(m.Verdicts)) >= significant {
		n++
	}
	return n
}

// finding is the strongest verdict that holds: spread to where nothing was
// seeded before presence where it was, and what is published before what probes
// elicit. lead is its index in Verdicts, -1 for none.
func (m *measurement) finding() (title string, lead int) {
	if len(m.Verdicts) == 0 {
		return "Nothing to compare: no arm has a control", -1
	}
	if m.Study.Replicates < fewestSigns {
		return fmt.Sprintf("No conclusion: %s cannot tell spread from chance; run at least %d", plural(m.Study.Replicates, "replicate"), fewestSigns), -1
	}
	if lead = strongest(m.Verdicts); lead >= 0 {
		return m.claim(m.Verdicts[lead]), lead
	}
	if i := strongest(m.Elicited); i >= 0 {
		return m.claim(m.Elicited[i]), -1
	}
	last := 0
	for _, v := range m.Verdicts {
		last = max(last, v.Generation)
	}
	return m.none(last), -1
}

// none says that no verdict holds.
func (m *measurement) none(last int) string {
	if n := m.Study.Replicates; n < m.fewest() {
		return fmt.Sprintf("No evidence of spread by generation %d in %s; %d replicates could hardly show any", last, plural(len(m.Verdicts), "comparison"), n)
	}
	none := fmt.Sprintf("none of %d comparisons with the control differs", len(m.Verdicts))
	if len(m.Verdicts) == 1 {
		none = "the comparison with the control shows no difference"
	}
	return fmt.Sprintf("No evidence of spread by generation %d: %s", last, none)
}

// claim is a verdict that holds as a headline.
func (m *measurement) claim(v Verdict) string {
	what, line := brief(m.title(v.Behaviour), 28), brief(v.Line, 18)
	if v.Part == lineage.Probes {
		line += ", when probed"
	}
	end := fmt.Sprintf(": %s from control in generation %d (%s)", inPoints(v.Versus.Mean), v.Generation, brief(v.Arm, 20))
	switch rank(v) {
	case 0:
		return what + " spread to " + line + end
	case 1:
		return what + " is present in " + line + end
	}
	return what + " is rarer in " + line + end
}

// strongest is the index of the verdict that makes the best headline among those
// that hold, -1 where none does.
func strongest(all []Verdict) int {
	lead := -1
	for i, v := range all {
		if v.Q < significant && (lead < 0 || stronger(v, all[lead])) {
			lead = i
		}
	}
	return lead
}

// stronger says whether a makes the better headline than b.
func stronger(a, b Verdict) bool {
	return cmp.Or(rank(a)-rank(b), cmp.Compare(a.Q, b.Q), cmp.Compare(math.Abs(b.Versus.Mean), math.Abs(a.Versus.Mean))) < 0
}

func rank(v Verdict) int {
	switch {
	case v.Versus.Mean < 0:
		return 2
	case v.Seeded:
		return 1
	}
	return 0
}

// title is a behaviour's name for people.
func (m *measurement) title(behaviour string) string {
	for _, b := range m.Study.Behaviours {
		if b.Name == behaviour && b.Title != "" {
			return brief(b.Title, 60)
		}
	}
	return brief(behaviour, 60)
}
