package reports

import (
	"fmt"
	"strings"
)

// maxMisfit is the share of rates that a calibration may fail to fit.
const maxMisfit = .1

// refuted refuses the calibrations that the texts of this study contradict, and
// tells whether there are any. Where fewer texts are called present than the
// calibration's false alarms alone would be, in the control as elsewhere, the
// detector errs otherwise here than on the labelled rows, and the rates that such
// a calibration happens to fit are as wrong as the others: all share it. A right
// one fits all rates of a study but with the chance that its own interval is wrong.
func (m *measurement) refuted() (any bool) {
	for i := range m.Quality {
		q := &m.Quality[i]
		if q.Refused != "" {
			continue
		}
		if misfit, total := m.misfits(*q); float64(misfit) > maxMisfit*float64(total) {
			q.Refused = fmt.Sprintf("its calibration does not fit %d of %s, so it errs otherwise on these texts than on the labelled ones", misfit, plural(total, "rate"))
			any = true
		}
	}
	return any
}

// misfits counts the rates of a detector that its calibration does not fit.
func (m *measurement) misfits(q Quality) (misfit, total int) {
	for i := range m.Curves {
		c := &m.Curves[i]
		if c.Behaviour != q.Behaviour || c.Detector != q.Detector {
			continue
		}
		for _, p := range c.Points {
			if p.Prevalence.N > 0 {
				total++
				if p.Method == RoganGladen && strings.Contains(p.Corrected.Warn, "does not fit") {
					misfit++
				}
			}
		}
	}
	return misfit, total
}
