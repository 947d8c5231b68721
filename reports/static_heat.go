package reports

import (
	"fmt"
	"math"
	"strconv"

	"github.com/heirloom-sim/heirloom/lineage"
)

// heatRow is one row of a heat map.
type heatRow struct {
	name  string
	curve *Curve
}

// heatRows gives the rows a heat map opens with in a line: the behaviours of the arm in
// detail, or the arms where only one behaviour is watched.
func (x *index) heatRows(line int) []heatRow {
	var rows []heatRow
	if len(x.behaviours) > 1 {
		for b, name := range x.behaviours {
			rows = append(rows, heatRow{name, x.curve(x.opens.Arm, line, b, lineage.Outputs)})
		}
		return rows
	}
	for a, name := range x.arms {
		rows = append(rows, heatRow{name, x.curve(a, line, x.opens.Behaviour, lineage.Outputs)})
	}
	return rows
}

// staticHeat draws prevalence by row and generation, with the percentage in
// every cell that has room for it.
func (x *index) staticHeat(rows []heatRow, about string) string {
	const left, width, cell = 168, 760, 26
	w := float64(width-left-8) / float64(x.generations)
	bottom := float64(cell*len(rows)) + 4
	s := openSVG(width, bottom+44, about)
	high := 0.0
	for _, r := range rows {
		if p, ok := peak(r.curve); ok {
			high = max(high, p.Prevalence.Mean)
		}
	}
	high, _ = niceCeiling(high)
	for i, r := range rows {
		y := float64(cell*i) + 4
		s.text("", "end", "ink", left-10, y+cell/2+4, label(r.name, 24))
		if r.curve == nil {
			continue
		}
		for _, q := range r.curve.Points {
			v := q.Prevalence.Mean
			if math.IsNaN(v) {
				continue
			}
			step, at := rampStep(v/high), left+w*float64(q.Generation)
			s.rect("cell", fmt.Sprintf("h%d", step), at, y, w, cell)
			if w >= 20 {
				s.text("n", "middle", fmt.Sprintf("k%d", step), at+w/2, y+cell/2+4, cellText(v))
			}
		}
	}
	every := tickEvery(x.generations, 20)
	for g := 0; g < x.generations; g += every {
		s.text("", "middle", "muted", left+w*(float64(g)+0.5), bottom+18, fmt.Sprint(g))
	}
	s.text("", "middle", "muted", (left+width)/2, bottom+36, "Model generation")
	return s.close()
}

// cellText is a share in whole percent.
func cellText(v float64) string {
	if v > 0 && v < 0.005 {
		return "<1"
	}
	return strconv.Itoa(int(math.Round(v * 100)))
}
