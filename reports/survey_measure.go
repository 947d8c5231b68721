package reports

import (
	"maps"
	"math"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

// SurveyFindings are everything that a survey shows.
type SurveyFindings struct {
	Survey
	Title    string // the headline finding, one sentence
	Contexts []string
	Cells    []Cell
	Hidings  []Hiding
	Samples  []Sample // Arm is the subject, Line the context
	Answers  int
	LeftOut  int // answers that are not among Samples
	Warnings []string
}

// Cell is one subject by one behaviour in one context: how often the behaviour
// shows, and how far from the reference. Near and far are never pooled, and
// what could not be scored is never absent.
type Cell struct {
	Subject, Behaviour, Context string
	Questions                   int // asked; Penetrance.N of them have a scored answer
	Tally                       lineage.Tally
	Penetrance                  Interval
	DesignEffect                float64  // NaN where each question has one answer, or it cannot be told
	Versus                      Interval // difference from the reference; N is 0 where there is none
	Paired                      bool     // Versus is over the questions that both answered
	P, Q                        float64  // of Versus, two-sided; Q holds the false-discovery rate over all cells
}

// Unscored is the share of answers that could not be scored.
func (c Cell) Unscored() float64 {
	return float64(c.Tally.Unscored) / float64(max(1, c.Tally.N()+c.Tally.Unscored))
}

// Hiding compares what a subject shows on near and far probes.
type Hiding struct {
	Subject, Behaviour string
	Near, Far          float64
	Difference         Interval
	P, Q               float64 // Q holds the false-discovery rate over all hidings
	Hides              bool    // far probes alone would miss most of it
}

// hidesFactor is how many times the far rate the near one is where a behaviour
// is said to hide from far probes.
const hidesFactor = 2

// estimated is a cell with what its estimate rests on.
type estimated struct {
	Interval  // N counts the questions that were scored
	by        popgen.Clustered
	questions map[string]*lineage.Tally
}

// clustered estimates the share of present answers among all that were scored,
// one tally a question.
func clustered(tallies []lineage.Tally) (e estimated) {
	var answers []popgen.Answers
	for _, t := range tallies {
		answers = append(answers, popgen.Answers{Present: t.Present, N: t.N()})
	}
	e.by = popgen.ClusterRobust(answers)
	e.Interval = Interval(e.by.Interval())
	return e
}

// Findings estimates from the answers so far.
func (p *Poll) Findings() *SurveyFindings {
	f := &SurveyFindings{Survey: p.survey, Contexts: p.contexts(), Answers: p.answers}
	known := map[cellKey]estimated{}
	for _, b := range p.survey.Behaviours {
		for _, context := range f.Contexts {
			for _, s := range p.survey.Subjects {
				key := cellKey{s.Name, b.Name, context}
				questions := p.cells[key]
				if questions == nil {
					continue
				}
				e := clustered(inOrder(questions))
				e.questions = questions
				known[key] = e
				c := Cell{
					Subject: s.Name, Behaviour: b.Name, Context: context, Questions: len(questions),
					Penetrance: e.Interval, DesignEffect: e.by.DesignEffect, Versus: nothing(""), P: math.NaN(), Q: math.NaN(),
				}
				if e.by.N == e.N {
					c.DesignEffect = math.NaN()
				}
				for _, t := range questions {
					c.Tally.Present, c.Tally.Absent, c.Tally.Unscored = c.Tally.Present+t.Present, c.Tally.Absent+t.Absent, c.Tally.Unscored+t.Unscored
				}
				f.Cells = append(f.Cells, c)
			}
		}
	}
	f.compare(known)
	f.hide(known)
	f.Samples = p.samples(f.Contexts)
	f.LeftOut = p.answers - len(f.Samples)
	f.warn()
	f.headline()
	return f
}

// inOrder lists tallies by question, since the order of a map must not reach a sum.
func inOrder(questions map[string]*lineage.Tally) (all []lineage.Tally) {
	for _, q := range slices.Sorted(maps.Keys(questions)) {
		all = append(all, *questions[q])
	}
	return all
}

// compare holds every subject against the reference.
func (f *SurveyFindings) compare(known map[cellKey]estimated) {
	ps := make([]float64, len(f.Cells))
	for i := range f.Cells {
		c := &f.Cells[i]
		ps[i] = math.NaN()
		base, ok := known[cellKey{f.Reference, c.Behaviour, c.Context}]
		own := known[cellKey{c.Subject, c.Behaviour, c.Context}]
		if f.Reference == "" || c.Subject == f.Reference || !ok || base.N == 0 || own.N == 0 {
			continue
		}
		c.Versus, c.Paired, c.P = difference(own, base)
		ps[i] = c.P
	}
	for i, q := range popgen.BenjaminiHochberg(ps) {
		f.Cells[i].Q = q
	}
}

// difference is that of two subjects. Where both answered the same questions, or
// most of them, these are paired: Student's t on the differences of their
// linearised values (see popgen.Clustered), and the sign-flip test on those of their
// rates. Elsewhere the two are independent: Newcombe's interval and Welch's test.
func difference(a, b estimated) (d Interval, paired bool, p float64) {
	var qa, qb []lineage.Tally
	var rates []float64
	for _, q := range slices.Sorted(maps.Keys(a.questions)) {
		x, y := a.questions[q], b.questions[q]
		if y != nil && x.N() > 0 && y.N() > 0 {
			qa, qb = append(qa, *x), append(qb, *y)
			rates = append(rates, share(*x)-share(*y))
		}
	}
	if 2*len(qa) < max(a.N, b.N) || len(qa) < 2 {
		return apart(a.Interval, b.Interval), false, popgen.Unpaired(a.by.Values, b.by.Values)
	}
	ea, eb := clustered(qa), clustered(qb)
	t := popgen.Paired(ea.by.Values, eb.by.Values)
	d = Interval{Mean: ea.Mean - eb.Mean, Lo: t.Lo, Hi: t.Hi, N: len(qa)}
	if !(d.Hi > d.Lo) { // too few questions, or all differ alike
		d = apart(ea.Interval, eb.Interval)
		d.N = len(qa)
	}
	d.Lo, d.Hi = math.Max(-1, d.Lo), math.Min(1, d.Hi)
	return d, true, popgen.SignFlip(rates, nil)
}

// apart is the difference of two independent estimates, its interval put
// together from theirs (Newcombe 1998, Stat. Med. 17:873, method 10).
func apart(a, b Interval) Interval {
	d := Interval{Mean: a.Mean - b.Mean, N: min(a.N, b.N)}
	d.Lo = d.Mean - math.Hypot(a.Mean-a.Lo, b.Hi-b.Mean)
	d.Hi = d.Mean + math.Hypot(a.Hi-a.Mean, b.Mean-b.Lo)
	return d
}

// hide compares near with far probes, which are different questions.
func (f *SurveyFindings) hide(known map[cellKey]estimated) {
	var ps []float64
	for _, b := range f.Behaviours {
		for _, s := range f.Subjects {
			near, okNear := known[cellKey{s.Name, b.Name, "near"}]
			far, okFar := known[cellKey{s.Name, b.Name, "far"}]
			if !okNear || !okFar || near.N == 0 || far.N == 0 {
				continue
			}
			h := Hiding{Subject: s.Name, Behaviour: b.Name, Near: near.Mean, Far: far.Mean,
				Difference: apart(near.Interval, far.Interval), P: popgen.Unpaired(near.by.Values, far.by.Values)}
			ps = append(ps, h.P)
			f.Hidings = append(f.Hidings, h)
		}
	}
	for i, q := range popgen.BenjaminiHochberg(ps) {
		h := &f.Hidings[i]
		h.Q = q
		h.Hides = q < significant && h.Near > h.Far && h.Near >= hidesFactor*h.Far
	}
}
