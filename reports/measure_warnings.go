package reports

import (
	"fmt"
	"math"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

// Thresholds of warnings.
const (
	muchUnscored   = 0.20 // of the texts of a curve
	muchEmpty      = 0.20 // of the outputs of a generation
	lostDiversity  = 0.5  // distinct word pairs, as a share of the first generation's
	lostPrediction = 0.5  // nats a token that the held-out loss may rise
	sureOfRepeats  = 10   // questions whose answers ought to differ
)

// warnings says what a reader must know before believing a number.
func (m *measurement) warnings() {
	m.warnOfSize()
	m.warnOfBlocks()
	m.warnOfGaps()
	m.warnOfErrors()
	m.warnOfAbstention()
	m.warnOfRepeats()
	m.warnOfNulls()
	m.warnOfCollapse()
}

func (m *measurement) warnOfSize() {
	if n := m.Study.Replicates; n < popgen.MinReplicates {
		m.warn("%s: intervals need %d and a test needs %d, so differences are shown without either.", plural(n, "replicate"), popgen.MinReplicates, fewestSigns)
	} else if n < fewestSigns {
		m.warn("%s: a sign-flip test needs %d to reach p < .05.", plural(n, "replicate"), fewestSigns)
	} else if n < m.fewest() {
		m.warn("%s: a difference that stands alone among %s cannot reach q < .05; %d could show it.", plural(n, "replicate"), plural(len(m.Verdicts), "comparison"), m.fewest())
	}
	if n := len(m.Missing); n > 0 {
		m.warn("Partial run: %d of %s are missing; what they would have shown is not drawn.", n, plural(m.expected, "model"))
	}
}

func (m *measurement) warnOfGaps() {
	for _, d := range m.Study.Detectors {
		if n := m.unscored[d.Name]; n > 0 {
			m.warn("Detector %s has not scored %s of outputs or probes; run the study again to let it.", brief(d.Name, 60), plural(n, "set"))
		}
	}
	var asked []string
	for digest, p := range m.prompts {
		if p == nil {
			asked = append(asked, digest)
		}
	}
	slices.Sort(asked)
	for _, digest := range asked {
		m.warn("The prompts %s are not in the ledger: texts that answer them are shown without, and repeats of a question cannot be told.", brief(digest, 40))
	}
	for _, b := range m.Study.Behaviours {
		if len(b.Detectors) == 0 {
			m.warn("Behaviour %s has no detector and is not measured.", brief(b.Name, 60))
		}
	}
}

// warnOfAbstention names the curves whose detector often had nothing to say.
func (m *measurement) warnOfAbstention() {
	for _, w := range m.watches {
		for _, part := range parts {
			var where []string
			dropped, worst := 0, 0.0
			for i := range m.Curves {
				c := &m.Curves[i]
				if c.Behaviour != w.behaviour.Name || c.Detector != w.detector.Name || c.Part != part {
					continue
				}
				for _, generations := range c.Replicates {
					for _, t := range generations {
						if t.N() == 0 && t.Unscored > 0 {
							dropped++
						}
					}
				}
				var all lineage.Tally
				for _, p := range c.Points {
					all.Unscored, all.Absent = all.Unscored+p.Pooled.Unscored, all.Absent+p.Pooled.N()
				}
				if of := float64(all.Unscored) / float64(all.Unscored+all.Absent); of > muchUnscored {
					worst = max(worst, of)
					where = append(where, brief(c.Line, 30)+" of "+brief(c.Arm, 40))
				}
			}
			if len(where) > 0 {
				m.warn("%s could not score up to %s of the %s in %s: prevalence is of the rest.", brief(w.detector.Name, 60), percent(worst), part, someOf(where, 4))
			}
			if dropped > 0 {
				m.warn("%s could score nothing among the %s of %s: they are left out of means.", brief(w.detector.Name, 60), part, plural(dropped, "model"))
			}
		}
	}
}

// warnOfRepeats tells draws that repeat each other from independent ones. With
// ten questions expected to vary and none that does, chance is e^-10 at most.
func (m *measurement) warnOfRepeats() {
	for _, b := range m.Study.Behaviours {
		for _, part := range parts {
			if r := m.repeats[repeatKey{b.Name, part}]; r != nil && r.mixed == 0 && r.expected >= sureOfRepeats {
				m.warn("%s: answers to one question never differ among the %s of a model. Either the question alone decides, or draws share a seed; then n is the number of questions, not of texts.", m.title(b.Name), part)
			}
		}
	}
}

func (m *measurement) warnOfNulls() {
	continuing, weights := map[string]bool{}, false
	for a, arm := range m.Study.Arms {
		for _, b := range m.Study.Behaviours {
			if m.start(a, b.Name).continuing {
				continuing[arm.Name] = true
			}
		}
		if m.baselineOf(arm) == "" && !arm.Control {
			m.warn("Arm %s has no control: nothing can be said of spread in it.", brief(arm.Name, 60))
		}
	}
	for _, n := range m.Nodes {
		weights = weights || n.Generation > 0 && n.Base != lineage.Scratch
	}
	for _, arm := range m.Study.Arms {
		if continuing[arm.Name] {
			m.warn("Arm %s is seeded to the end: its neutral band takes seeds for an inflow of carriers, and its trend includes them.", brief(arm.Name, 60))
		}
	}
	if weights {
		m.warn("Models start from a parent's or a foundation's weights: the neutral band treats the text channel alone, so a difference from it may have come by weights.")
	}
}

// warnOfCollapse compares the health of the last generation with that of the
// first, so that a model that fell silent is not taken for one that lost a trait.
func (m *measurement) warnOfCollapse() {
	var fewer, drifted, silent symptom
	for a, arm := range m.Study.Arms {
		for l, line := range m.Study.Lines {
			first, ok := m.health(a, l, 0, 1)
			final, also := m.health(a, l, m.generations-1, -1)
			if !ok || !also {
				continue
			}
			where := brief(line, 30) + " of " + brief(arm.Name, 40)
			fewer.see(arm.Control, where, 1-final.Distinct2/first.Distinct2, lostDiversity)
			if first.HeldOut != nil && final.HeldOut != nil {
				drifted.see(arm.Control, where, *final.HeldOut-*first.HeldOut, lostPrediction)
			}
			silent.see(arm.Control, where, float64(final.Empty)/float64(final.Sampled), muchEmpty)
		}
	}
	const lost = " A lost behaviour there may be lost language."
	if len(fewer.where) > 0 {
		m.warn("Text collapsed: distinct word pairs fell by %s%s."+lost, fewer.reach(percent), fewer.spread())
	}
	if len(drifted.where) > 0 {
		nats := func(v float64) string { return fmt.Sprintf("%.1f", v) }
		m.warn("Text drifted: the loss on held-out text rose by %s nats a token%s."+lost, drifted.reach(nats), drifted.spread())
	}
	if len(silent.where) > 0 {
		m.warn("Models fell silent: of their outputs %s are empty%s."+lost, silent.reach(percent), silent.spread())
	}
}

// symptom gathers the lines of arms in which something went beyond its limit.
type symptom struct {
	where             []string
	least, most       float64
	seen              int
	controls, control int // lines of controls: those seen, and those among where
}

func (s *symptom) see(control bool, where string, v, limit float64) {
	s.seen++
	if control {
		s.controls++
	}
	if !(v > limit) {
		return
	}
	if len(s.where) == 0 {
		s.least, s.most = v, v
	}
	s.least, s.most = min(s.least, v), max(s.most, v)
	s.where = append(s.where, where)
	if control {
		s.control++
	}
}

func (s *symptom) reach(write func(float64) string) string {
	if lo, hi := write(s.least), write(s.most); lo != hi {
		return lo + " to " + hi
	}
	return write(s.most)
}

// spread says where the symptom shows. Where the control has it too, seeds are
// not its cause.
func (s *symptom) spread() string {
	text := fmt.Sprintf(" by the last generation in %d of %s of arm and line", len(s.where), plural(s.seen, "pair"))
	if len(s.where) < s.seen {
		text += " (" + someOf(s.where, 4) + ")"
	}
	switch {
	case s.controls == 0:
		return text
	case s.control == 0:
		return text + ", and in none of the control: it comes with what the arms do"
	case s.control == s.controls:
		return text + ", the control included: it comes from the mixture and not from the seeding"
	}
	return text + fmt.Sprintf(", %d of %d of the control included", s.control, s.controls)
}

// health is the mean over the replicates of the first generation that has any,
// going up or down from g.
func (m *measurement) health(arm, line, g, step int) (lineage.Health, bool) {
	for ; g >= 0 && g < m.generations; g += step {
		var sum lineage.Health
		var n, scored, loss float64
		for _, ids := range m.Study.Arms[arm].Nodes[line] {
			if g >= len(ids) {
				continue
			}
			node, ok := m.Nodes[ids[g]]
			if !ok || node.Health.Sampled == 0 {
				continue
			}
			n++
			sum.Distinct2 += node.Health.Distinct2
			sum.Empty, sum.Sampled = sum.Empty+node.Health.Empty, sum.Sampled+node.Health.Sampled
			if h := node.Health.HeldOut; h != nil && !math.IsNaN(*h) {
				scored++
				loss += *h
			}
		}
		if n > 0 {
			sum.Distinct2 /= n
			if loss /= scored; scored > 0 {
				sum.HeldOut = &loss
			}
			return sum, true
		}
	}
	return lineage.Health{}, false
}
