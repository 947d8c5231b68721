package reports

import (
	"fmt"
	"math"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

// warnOfErrors names the detectors whose errors are in the rates, and those that
// do not do here what their calibration says.
func (m *measurement) warnOfErrors() {
	for _, b := range m.Study.Behaviours {
		if n := m.disputed[b.Name]; n > 0 {
			m.warn("Labels of %s disagree on %s: these count as unlabelled.", m.title(b.Name), plural(n, "text"))
		}
	}
	for _, q := range m.Quality {
		if !q.Judges {
			continue
		}
		raw, few := 0, 0
		misfit, total := m.misfits(q)
		for i := range m.Curves {
			c := &m.Curves[i]
			if c.Behaviour != q.Behaviour || c.Detector != q.Detector {
				continue
			}
			for _, p := range c.Points {
				if strings.Contains(p.Corrected.Warn, tooFew) {
					few++
				}
				if p.Prevalence.N > 0 && p.Method == "" {
					raw++
				}
			}
		}
		if raw > 0 {
			where := "Rates"
			if raw < total {
				where = fmt.Sprintf("%d of %d rates", raw, total)
			}
			m.warn("%s of %s are those of %s, uncorrected for its errors: %s.", where, m.title(q.Behaviour), brief(q.Detector, 60), q.Refused)
		}
		if few > 0 {
			m.warn("Labels of %s of %s are too few to correct them: of the texts of one arm, line and generation it takes %d, %d of either kind, from %d replicates. Label more.",
				plural(few, "rate"), m.title(q.Behaviour), popgen.MinLabels, popgen.MinOutcome, popgen.MinReplicates)
		}
		if misfit > 0 {
			m.warn("The calibration of %s does not fit %d of %s of %s: it errs otherwise on these texts, and their corrected rates have no interval.",
				brief(q.Detector, 60), misfit, plural(total, "rate"), m.title(q.Behaviour))
		}
		m.warnOfShift(q)
	}
}

// warnOfShift names the generations in which labels contradict the calibration,
// by Fisher's exact test with the false-discovery rate held over all of them.
func (m *measurement) warnOfShift(q Quality) {
	if len(q.Sets) == 0 {
		return
	}
	var ps []float64
	for _, h := range q.Generations {
		a, b := h.Counts, q.Pooled.Counts
		ps = append(ps,
			popgen.Fisher(a.TruePositives, a.TruePositives+a.FalseNegatives, b.TruePositives, b.TruePositives+b.FalseNegatives),
			popgen.Fisher(a.TrueNegatives, a.TrueNegatives+a.FalsePositives, b.TrueNegatives, b.TrueNegatives+b.FalsePositives))
	}
	qs := popgen.BenjaminiHochberg(ps)
	for _, part := range parts {
		var where []string
		for i, h := range q.Generations {
			if h.Part == part && (qs[2*i] < significant || qs[2*i+1] < significant) {
				where = append(where, fmt.Sprintf("generation %d (sensitivity %s, specificity %s)", h.Generation, decimals(h.Sensitivity.Mean), decimals(h.Specificity.Mean)))
			}
		}
		if len(where) > 0 {
			m.warn("On the %s of this study %s does not do what its calibration says (%s, %s): %s. Rates that are corrected by the calibration there are wrong.",
				part, brief(q.Detector, 60), decimals(q.Pooled.Sensitivity.Mean), decimals(q.Pooled.Specificity.Mean), someOf(where, 4))
		}
	}
}

// decimals writes a share of texts as psychometrics does.
func decimals(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.2f", v)
}
