package reports

import (
	"fmt"
	"math"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

type seriesKey struct{ arm, line, behaviour, detector, part string }

func (c *Curve) key() seriesKey {
	return seriesKey{c.Arm, c.Line, c.Behaviour, c.Detector, c.Part}
}

// prevalence is what of the scorable texts shows the behaviour, NaN where
// nothing could be scored.
func prevalence(t lineage.Tally) float64 {
	if t.N() == 0 {
		return math.NaN()
	}
	return float64(t.Present) / float64(t.N())
}

// curves fills one curve for every arm, line, watch and part that was measured,
// in the order of the study.
func (m *measurement) curves() {
	for a, arm := range m.Study.Arms {
		for l, line := range m.Study.Lines {
			for _, w := range m.watches {
				for _, part := range parts {
					c := Curve{Arm: arm.Name, Line: line, Behaviour: w.behaviour.Name, Detector: w.detector.Name, Part: part}
					if m.fill(&c, m.Study.Arms[a].Nodes[l]) || part == lineage.Outputs {
						m.index[c.key()] = len(m.Curves)
						m.Curves = append(m.Curves, c)
					}
				}
			}
		}
	}
}

// fill counts a curve and gives its prevalence; it is false where nothing was
// counted.
func (m *measurement) fill(c *Curve, nodes [][]lineage.ID) bool {
	counted := false
	c.Points = make([]Point, m.generations)
	c.Replicates = make([][]lineage.Tally, len(nodes))
	for r, ids := range nodes {
		c.Replicates[r] = make([]lineage.Tally, m.generations)
		for g, id := range ids {
			t, ok := m.tallies[tallyKey{id, c.Behaviour, c.Detector, c.Part}]
			counted = counted || ok
			c.Replicates[r][g] = t
			pooled := &c.Points[g].Pooled
			pooled.Present, pooled.Absent, pooled.Unscored = pooled.Present+t.Present, pooled.Absent+t.Absent, pooled.Unscored+t.Unscored
		}
	}
	for g := range c.Points {
		p := &c.Points[g]
		p.Generation = g
		p.Prevalence = Interval(popgen.TInterval(c.at(g)))
		p.Prevalence.Lo, p.Prevalence.Hi = unit(p.Prevalence.Lo), unit(p.Prevalence.Hi)
		p.Difference = nothing("")
		p.Neutral = noBand()
	}
	return counted
}

// unit keeps a bound of a prevalence within [0,1]; NaN stays.
func unit(x float64) float64 { return math.Max(0, math.Min(1, x)) }

// at gives the prevalence of every replicate in a generation.
func (c *Curve) at(g int) []float64 {
	values := make([]float64, len(c.Replicates))
	for r := range values {
		values[r] = prevalence(c.Replicates[r][g])
	}
	return values
}

func nothing(why string) Interval {
	return Interval{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN(), Warn: why}
}

// compare sets every curve against its baseline and against copying alone, and
// follows its trend.
func (m *measurement) compare() {
	for i := range m.Curves {
		c := &m.Curves[i]
		a := slices.IndexFunc(m.Study.Arms, func(a lineage.Arm) bool { return a.Name == c.Arm })
		base := m.baseline(c)
		if base != nil {
			for g := range c.Points {
				c.Points[g].Difference = Interval(popgen.Paired(c.at(g), base.at(g)))
			}
		}
		start := m.start(a, c.Behaviour)
		if c.Part == lineage.Outputs {
			m.neutral(a, c, start)
		}
		c.trend(start.generation, base)
	}
}

// baseline is the curve of the control that an arm is compared with, nil for
// the control itself and where there is none.
func (m *measurement) baseline(c *Curve) *Curve {
	for _, arm := range m.Study.Arms {
		if arm.Name == c.Arm {
			k := c.key()
			k.arm = m.baselineOf(arm)
			if i, ok := m.index[k]; ok {
				return &m.Curves[i]
			}
		}
	}
	return nil
}

// baselineOf names the arm that an arm is compared with, "" for none.
func (m *measurement) baselineOf(arm lineage.Arm) string {
	switch {
	case arm.Baseline == arm.Name:
		return ""
	case arm.Baseline == "" && !arm.Control:
		return m.control()
	}
	return arm.Baseline
}

// control is the first control arm of the study.
func (m *measurement) control() string {
	for _, arm := range m.Study.Arms {
		if arm.Control {
			return arm.Name
		}
	}
	return ""
}

// last is the latest generation in which something could be scored, -1 for none.
func (c *Curve) last() int {
	for g := len(c.Points) - 1; g >= 0; g-- {
		if c.Points[g].Prevalence.N > 0 {
			return g
		}
	}
	return -1
}

// fewestCarriers is what a replicate must have to take part in a trend.
const fewestCarriers = 5

// trend follows the replicates from a generation on. The excess that is
// followed is the paired difference from the baseline.
func (c *Curve) trend(from int, base *Curve) {
	to := c.last()
	c.Trend = Trend{From: from, To: max(from, to), Reproduction: nothing(""), HalfLife: nothing(""), Slope: nothing("")}
	if to < from {
		return
	}
	var excess [][]float64
	var slopes []float64
	var carriers, texts []int
	scored, carrying := 0, 0
	for r := range c.Replicates {
		var xs []float64
		var present, n []int
		var all lineage.Tally
		for g := from; g <= to; g++ {
			t := c.Replicates[r][g]
			present, n = append(present, t.Present), append(n, t.N())
			all.Present, all.Absent = all.Present+t.Present, all.Absent+t.Absent
			if base != nil && r < len(base.Replicates) {
				xs = append(xs, prevalence(t)-prevalence(base.Replicates[r][g]))
			}
		}
		excess = append(excess, xs)
		slopes = append(slopes, popgen.LogitSlope(present, n))
		carriers, texts = append(carriers, present[to-from]), append(texts, n[to-from])
		if n[to-from] > 0 {
			c.Trend.Replicates++
		}
		if all.N() > 0 {
			scored++
		}
		if all.Present >= fewestCarriers {
			carrying++
		}
	}
	c.Trend.Lost, c.Trend.Fixed = popgen.Fates(carriers, texts)
	if 2*carrying < scored {
		none := nothing(fmt.Sprintf("only %d of %s have %d carriers from generation %d on: too few to follow", carrying, plural(scored, "replicate"), fewestCarriers, from))
		c.Trend.Reproduction, c.Trend.HalfLife, c.Trend.Slope = none, none, none
		return
	}
	c.Trend.Slope = Interval(popgen.TInterval(slopes))
	if base == nil {
		why := "without a control there is no excess to follow"
		c.Trend.Reproduction, c.Trend.HalfLife = nothing(why), nothing(why)
		return
	}
	r := Interval(popgen.Reproduction(excess))
	if r.N >= popgen.MinReplicates && math.IsNaN(r.Lo) {
		r = nothing(r.Warn) // one replicate holds all of the excess
	}
	c.Trend.Reproduction = r
	c.Trend.HalfLife = Interval{
		Mean: popgen.HalfLife(r.Mean), Lo: popgen.HalfLife(r.Lo), Hi: popgen.HalfLife(r.Hi), N: r.N, Warn: r.Warn,
	}
}

// doses lists what was seeded, from the corpora that were drawn.
func (m *measurement) doses() {
	for _, arm := range m.Study.Arms {
		for l, replicates := range arm.Nodes {
			for _, b := range m.Study.Behaviours {
				for g := range m.generations {
					d := Dose{Arm: arm.Name, Line: m.Study.Lines[l], Behaviour: b.Name, Generation: g}
					made := 0.0
					for _, ids := range replicates {
						if g >= len(ids) {
							continue
						}
						if n, ok := m.Nodes[ids[g]]; ok {
							made++
							d.Seeds += float64(seeds(n, b.Name))
							d.Documents += float64(n.Documents)
						}
					}
					if d.Seeds > 0 {
						d.Seeds, d.Documents = d.Seeds/made, d.Documents/made
						m.Doses = append(m.Doses, d)
					}
				}
			}
		}
	}
}

// seeds counts the documents of a corpus that were written to show a behaviour.
func seeds(n lineage.Node, behaviour string) (count int) {
	for _, s := range n.Supplies {
		if s.Behaviour == behaviour {
			count += s.Documents
		}
	}
	return count
}
