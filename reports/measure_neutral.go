package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

// start is where copying begins for one behaviour in one arm.
type start struct {
	generation int
	seeded     bool // something is seeded at all
	continuing bool // seeds arrive to the end, and are part of the model
}

// start finds the last generation of an arm that received seeds of a behaviour
// in any line: later carriers are copies. Where seeds arrive to the very end
// there is no such generation, and copying is followed from the first seeding
// on, with the seeds as an inflow that always carries.
func (m *measurement) start(arm int, behaviour string) start {
	first, last, made := -1, -1, -1
	for _, replicates := range m.Study.Arms[arm].Nodes {
		for _, ids := range replicates {
			for g, id := range ids {
				n, ok := m.Nodes[id]
				if !ok {
					continue
				}
				made = max(made, g)
				if seeds(n, behaviour) > 0 {
					last = max(last, g)
					if first < 0 || g < first {
						first = g
					}
				}
			}
		}
	}
	switch {
	case last < 0:
		return start{}
	case last == made && first < last:
		return start{first, true, true}
	}
	return start{last, true, false}
}

func noBand() Band {
	return Band{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN(), MeanLo: math.NaN(), MeanHi: math.NaN()}
}

// neutral gives a curve the band of copying alone: drift over the very nodes of
// each replicate, from what that replicate published at the start. The band of
// a single lineage takes replicates together (law of total variance), that of
// the mean takes each as it started.
func (m *measurement) neutral(arm int, c *Curve, from start) {
	line := slices.Index(m.Study.Lines, c.Line)
	nodes := m.Study.Arms[arm].Nodes
	background := m.background(c)
	type moments struct {
		means, variances []float64
		outputs          int
	}
	at := make([]moments, m.generations)
	used := use{outside: map[string]float64{}}
	for r := range nodes[line] {
		d := demes{m: m, curve: c, from: from, background: background, at: map[lineage.ID]int{}, use: &used}
		var deme []int
		for g := from.generation; g < len(nodes[line][r]); g++ {
			deme = append(deme, d.add(nodes[line][r][g]))
		}
		drift, err := popgen.Drift(d.list)
		if err != nil {
			m.warn("%s in %s of %s has no neutral band: %v", c.Behaviour, c.Line, c.Arm, err)
			return
		}
		for i, k := range deme {
			if k >= 0 {
				p := &at[from.generation+i]
				p.means, p.variances = append(p.means, drift.Mean(k)), append(p.variances, drift.Variance(k))
				p.outputs = d.list[k].Outputs
			}
		}
	}
	for g, p := range at {
		if n := float64(len(p.means)); n > 0 {
			c.Points[g].Neutral = band(p.means, p.variances, 1/math.Max(1, float64(p.outputs)))
		}
	}
	c.Note = from.note(used)
}

func band(means, variances []float64, grain float64) Band {
	n := float64(len(means))
	var mean, within, between float64
	for i := range means {
		mean += means[i] / n
		within += variances[i] / n
	}
	for _, x := range means {
		between += (x - mean) * (x - mean) / n
	}
	mean = unit(mean)
	b := Band{Valid: true, Mean: mean}
	b.Lo, b.Hi = popgen.Band(mean, within+between, grain)
	b.MeanLo, b.MeanHi = b.Lo, b.Hi
	if n > 1 {
		b.MeanLo, b.MeanHi = popgen.MeanBand(mean, within/n, grain/n)
	}
	return b
}

// background is the rate of carriers in text from outside: what the baseline of
// the arm, or a control itself, shows in generation 0, in each line.
func (m *measurement) background(c *Curve) map[string]float64 {
	rates := map[string]float64{}
	for _, line := range m.Study.Lines {
		k := c.key()
		k.line = line
		rates[line] = math.NaN()
		i, ok := m.index[k]
		if !ok {
			continue
		}
		curve := &m.Curves[i]
		if base := m.baseline(curve); base != nil {
			curve = base
		} else if k.arm != m.control() && !slices.ContainsFunc(m.Study.Arms, func(a lineage.Arm) bool { return a.Name == k.arm && a.Control }) {
			continue
		}
		if len(curve.Points) > 0 {
			rates[line] = curve.Points[0].Prevalence.Mean
		}
	}
	return rates
}

// use records what the bands of a curve rest on, for the caption.
type use struct {
	outside map[string]float64 // background rate by line, where it entered
	weights bool               // some node has ancestors by weights
}

// demes turns the nodes of a replicate into demes of popgen, ancestors first.
type demes struct {
	m          *measurement
	curve      *Curve
	from       start
	background map[string]float64
	list       []popgen.Deme
	at         map[lineage.ID]int // -1: cannot be followed
	use        *use
}

// add gives the index of a node's deme, -1 where the node, an ancestor or a
// rate is not known.
func (d *demes) add(id lineage.ID) int {
	if k, ok := d.at[id]; ok {
		return k
	}
	d.at[id] = -1
	node, ok := d.m.Nodes[id]
	if !ok {
		return -1
	}
	deme := popgen.Deme{Outputs: node.Outputs}
	if node.Generation <= d.from.generation {
		deme.Start = prevalence(d.m.tallies[tallyKey{id, d.curve.Behaviour, d.curve.Detector, d.curve.Part}])
		if math.IsNaN(deme.Start) {
			return -1
		}
	} else if deme.Sources, ok = d.sources(node); !ok {
		return -1
	}
	d.list = append(d.list, deme)
	d.at[id] = len(d.list) - 1
	return d.at[id]
}

// sources are the parts of a node's corpus, with shares by documents. Text from
// outside is taken to be drawn anew each time.
func (d *demes) sources(node lineage.Node) ([]popgen.Source, bool) {
	var list []popgen.Source
	total := 0
	for _, p := range node.Parents {
		from := d.add(p.Node)
		if from < 0 {
			return nil, false
		}
		total += p.Documents
		list = append(list, popgen.Source{From: from, Documents: p.Documents})
	}
	for _, s := range node.Supplies {
		if s.Documents == 0 {
			continue
		}
		rate := d.background[node.Line]
		if s.Behaviour == d.curve.Behaviour {
			rate = 1
		} else {
			d.use.outside[node.Line] = rate
		}
		if math.IsNaN(rate) {
			return nil, false
		}
		total += s.Documents
		list = append(list, popgen.Source{From: popgen.Outside, Rate: rate, Documents: s.Documents})
	}
	for i := range list {
		list[i].Share = float64(list[i].Documents) / float64(total)
	}
	d.use.weights = d.use.weights || node.Base == lineage.Parent || node.Base == lineage.Foundation
	return list, len(list) > 0
}

// note is the caption of a band.
func (s start) note(u use) string {
	var b strings.Builder
	switch {
	case s.continuing:
		fmt.Fprintf(&b, "The neutral band starts from what each replicate published in generation %d, the first with seeds, and takes later seeds for carriers.", s.generation)
	case s.seeded:
		fmt.Fprintf(&b, "The neutral band starts from what each replicate published in generation %d, the last with seeds, and only copies from there.", s.generation)
	default:
		fmt.Fprintf(&b, "Nothing is seeded: the neutral band starts from what each replicate published in generation %d.", s.generation)
	}
	var lines []string
	for line := range u.outside {
		lines = append(lines, line)
	}
	slices.Sort(lines)
	for _, line := range lines {
		if rate := u.outside[line]; math.IsNaN(rate) {
			fmt.Fprintf(&b, " Text from outside in %s has no known rate of carriers, since the control's generation 0 was not measured.", line)
		} else {
			fmt.Fprintf(&b, " Text from outside in %s carries at the control's rate in generation 0, %s.", line, percent(rate))
		}
	}
	if u.weights {
		b.WriteString(" It treats the text channel alone: what weights hand on from a parent or a foundation is not part of it.")
	}
	return b.String()
}
