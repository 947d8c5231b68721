package reports

import (
	"math"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

// correct gives every point its prevalence corrected for the detector's errors:
// by labels of its own texts where they suffice, since they hold whatever the
// detector does there; else by the calibration, which assumes that it errs on
// these texts as it did on those.
func (m *measurement) correct() {
	m.correctAll()
	if m.refuted() {
		m.correctAll()
	}
}

func (m *measurement) correctAll() {
	for i := range m.Curves {
		c := &m.Curves[i]
		base := m.baseline(c)
		for g := range c.Points {
			p := &c.Points[g]
			p.Corrected, p.CorrectedDifference, p.CorrectedNeutral = nothing(""), nothing(""), noBand()
			p.Method, p.DifferenceMethod = "", ""
			if p.Prevalence.N > 0 {
				m.level(c, g)
				m.difference(c, base, g)
			}
		}
	}
}

func (m *measurement) level(c *Curve, g int) {
	p, q := &c.Points[g], m.qualityOf(c)
	d := detection(q.Pooled.Counts)
	labels := m.withLabels(c, g)
	byLabels := Interval(popgen.LabelledMean(labels))
	byCalibration := nothing(q.Refused)
	if q.Refused == "" {
		var present, n []int
		for _, generations := range c.Replicates {
			present, n = append(present, generations[g].Present), append(n, generations[g].N())
		}
		byCalibration = Interval(popgen.CorrectedMean(present, n, d))
		p.CorrectedNeutral = corrected(p.Neutral, d)
	}
	switch {
	case !math.IsNaN(byLabels.Lo):
		p.Corrected, p.Method = byLabels, PPI
	case !math.IsNaN(byCalibration.Mean):
		p.Corrected, p.Method = byCalibration, RoganGladen
	case !math.IsNaN(byLabels.Mean):
		p.Corrected, p.Method = byLabels, PPI
	default:
		p.Corrected = byCalibration
		if slices.ContainsFunc(labels, func(r popgen.Labelled) bool { return len(r.Labels) > 0 }) {
			p.Corrected.Warn += tooFew + byLabels.Warn
		}
	}
}

// tooFew stands between why the calibration does not correct a point and why the
// labels that it has do not either.
const tooFew = "; of its labels: "

func (m *measurement) difference(c, base *Curve, g int) {
	p, q := &c.Points[g], m.qualityOf(c)
	if base == nil {
		return
	}
	byLabels := Interval(popgen.LabelledDifference(m.withLabels(c, g), m.withLabels(base, g)))
	byCalibration := nothing(q.Refused)
	if q.Refused == "" {
		byCalibration = Interval(popgen.CorrectedDifference(popgen.Differences(c.at(g), base.at(g)), detection(q.Pooled.Counts)))
	}
	switch {
	case !math.IsNaN(byLabels.Lo):
		p.CorrectedDifference, p.DifferenceMethod = byLabels, PPI
	case !math.IsNaN(byCalibration.Mean):
		p.CorrectedDifference, p.DifferenceMethod = byCalibration, RoganGladen
	default:
		p.CorrectedDifference = byCalibration
	}
}

// corrected is a band of detected shares in terms of true ones: what a detector
// reads is a straight line of what is there.
func corrected(b Band, d popgen.Detection) Band {
	if !b.Valid {
		return noBand()
	}
	se, sp := d.Sensitivity().Mean, d.Specificity().Mean
	undone := func(x float64) float64 { return unit((x + sp - 1) / (se + sp - 1)) }
	return Band{Valid: true, Mean: undone(b.Mean), Lo: undone(b.Lo), Hi: undone(b.Hi), MeanLo: undone(b.MeanLo), MeanHi: undone(b.MeanHi)}
}

// withLabels gives the replicates of a point with what labels know of their texts.
func (m *measurement) withLabels(c *Curve, g int) []popgen.Labelled {
	if len(m.labelled) == 0 {
		return nil
	}
	nodes := m.nodesOf(c)
	out := make([]popgen.Labelled, len(c.Replicates))
	for r, generations := range c.Replicates {
		out[r] = popgen.Labelled{Present: generations[g].Present, N: generations[g].N()}
		for _, t := range m.labelled[tallyKey{at(nodes[r], g), c.Behaviour, c.Detector, c.Part}] {
			if t.outcome != lineage.NotScorable {
				out[r].Labels = append(out[r].Labels, popgen.Label{Truth: t.truth, Word: t.outcome == lineage.Present})
			}
		}
	}
	return out
}

// nodesOf are the nodes behind a curve, by replicate.
func (m *measurement) nodesOf(c *Curve) [][]lineage.ID {
	a := slices.IndexFunc(m.Study.Arms, func(a lineage.Arm) bool { return a.Name == c.Arm })
	return m.Study.Arms[a].Nodes[slices.Index(m.Study.Lines, c.Line)]
}

// at is the node of a generation, "" where the study ends before it.
func at(replicate []lineage.ID, generation int) lineage.ID {
	if generation >= len(replicate) {
		return ""
	}
	return replicate[generation]
}

// qualityOf is that of the detector of a curve.
func (m *measurement) qualityOf(c *Curve) *Quality {
	return &m.Quality[slices.IndexFunc(m.Quality, func(q Quality) bool { return q.Behaviour == c.Behaviour && q.Detector == c.Detector })]
}
