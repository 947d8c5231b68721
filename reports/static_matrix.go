package reports

import (
	"fmt"
	"math"
	"strings"
)

// staticMatrix draws the rates of a survey: behaviours down, with a row for each
// context, and subjects across.
func (p *surveyPage) staticMatrix(about string) string {
	const left, width, cell, top = 250, 900, 26, 30
	type row struct{ behaviour, line int }
	var rows []row
	at := map[row]int{}
	high := 0.0
	for _, c := range p.Poll.Cells {
		r := row{p.behaviour[c.Behaviour], p.line[c.Context]}
		if _, known := at[r]; !known {
			at[r] = len(rows)
			rows = append(rows, r)
		}
		if v := c.Penetrance.Mean; !math.IsNaN(v) {
			high = max(high, v)
		}
	}
	high, _ = niceCeiling(high)
	w := float64(width-left-8) / float64(max(1, len(p.arms)))
	bottom := float64(top + cell*len(rows))
	s := openSVG(width, bottom+8, about)
	for i, name := range p.arms {
		if room := int(w / 7); room > 2 {
			if letters := []rune(name); p.Poll.Files && len(letters) > room { // a path tells most at its end
				name = "…" + string(letters[len(letters)-room+1:])
			}
			s.text("b", "middle", "ink", left+w*(float64(i)+0.5), top-10, label(name, room))
		}
	}
	for i, r := range rows {
		text := p.behaviours[r.behaviour]
		if context := strings.TrimSuffix(p.context(p.Study.Lines[r.line]), " probes"); context != "" {
			text = label(text, 25) + " · " + context
		}
		s.text("", "end", "ink", left-10, float64(top+cell*i)+cell/2+4, label(text, 42))
	}
	for _, c := range p.Poll.Cells {
		v := c.Penetrance.Mean
		if math.IsNaN(v) {
			continue
		}
		x := left + w*float64(p.arm[c.Subject])
		y := float64(top + cell*at[row{p.behaviour[c.Behaviour], p.line[c.Context]}])
		step := rampStep(v / high)
		s.rect("cell", fmt.Sprintf("h%d", step), x, y, w, cell)
		if w >= 22 {
			s.text("n", "middle", fmt.Sprintf("k%d", step), x+w/2, y+cell/2+4, cellText(v))
		}
	}
	return s.close()
}
