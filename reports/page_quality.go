package reports

import (
	"cmp"
	"fmt"
	"math"
)

// qualityRow is a Quality as the table writes it.
type qualityRow struct {
	Detector, Behaviour, Use string
	Told                     []toldRow
	Sets                     []string
}

type toldRow struct {
	On, Texts, Truths                     string
	Sensitivity, Specificity, AUC, Youden estimate
}

// QualityRows lists the detectors with how good they are.
func (x *index) QualityRows() []qualityRow {
	var rows []qualityRow
	for _, q := range x.Quality {
		b, ok := x.behaviour[q.Behaviour]
		if !ok {
			continue
		}
		r := qualityRow{Detector: label(q.Detector, 80), Behaviour: x.behaviours[b], Use: q.use()}
		if len(q.Sets) > 0 {
			on := "Calibration"
			if len(q.Sets) > 1 {
				on = fmt.Sprintf("%d labelled sets together", len(q.Sets))
			}
			if len(q.Contexts) > 1 {
				on += ", all contexts"
			}
			r.Told = append(r.Told, newToldRow(on, q.Pooled))
			for _, t := range q.Contexts {
				if len(q.Contexts) > 1 {
					r.Told = append(r.Told, newToldRow("Context "+label(cmp.Or(t.Context, "without a name"), 60), t))
				}
			}
		}
		for _, h := range q.Generations {
			r.Told = append(r.Told, newToldRow(fmt.Sprintf("Labelled %s of generation %d", label(h.Part, 20), h.Generation), h.Told))
		}
		for _, s := range q.Sets {
			text := fmt.Sprintf("%s from %s", counted(s.Texts, "text"), label(cmp.Or(s.Source, "a source without a name"), 200))
			if s.Method != "" {
				text += ", " + label(s.Method, 200)
			}
			r.Sets = append(r.Sets, text+".")
		}
		rows = append(rows, r)
	}
	return rows
}

// use says what the quality is used for.
func (q Quality) use() string {
	role := "Judges the behaviour. "
	if !q.Judges {
		role = "A second opinion. "
	}
	switch {
	case len(q.Sets) == 0 && len(q.Generations) > 0:
		return role + "No calibration in the ledger: rates are as it reads them where labels do not correct them."
	case len(q.Sets) == 0:
		return role + "No calibration in the ledger: rates are as it reads them."
	}
	if q.Refused != "" {
		return role + "Rates are not corrected by a calibration: " + label(q.Refused, 200) + "."
	}
	return role + "Rates are corrected with all of it."
}

func newToldRow(on string, t Told) toldRow {
	c := t.Counts
	r := toldRow{
		On: on, Texts: fmt.Sprint(texts(c)),
		Truths: fmt.Sprintf("%d · %d", c.TruePositives+c.FalseNegatives, c.FalsePositives+c.TrueNegatives),
		Youden: inDecimals(Interval(detection(c).Youden())), Sensitivity: inDecimals(t.Sensitivity), Specificity: inDecimals(t.Specificity), AUC: inDecimals(t.AUC),
	}
	if c.NotScorable > 0 {
		r.Texts += fmt.Sprintf(", %d not scorable", c.NotScorable)
	}
	return r
}

func inDecimals(v Interval) estimate {
	e := estimate{Value: decimals(v.Mean)}
	if !math.IsNaN(v.Lo) && !math.IsNaN(v.Hi) {
		e.Interval = decimals(v.Lo) + " to " + decimals(v.Hi)
	}
	return e
}

// Corrects says whether any rate of the page is corrected.
func (x *index) Corrects() bool {
	for i := range x.Curves {
		if corrects(&x.Curves[i]) {
			return true
		}
	}
	return false
}

// Uncorrected says of each behaviour whose rates are the detector's own that
// they are.
func (x *index) Uncorrected() []string {
	var list []string
	for b, behaviour := range x.Study.Behaviours {
		raw, seen := true, false
		for i := range x.Curves {
			if c := &x.Curves[i]; c.Behaviour == behaviour.Name {
				raw, seen = raw && !corrects(c), true
			}
		}
		if raw && seen {
			list = append(list, "Error of the detector is not corrected for in rates of "+x.behaviours[b]+": they are of what it finds.")
		}
	}
	return list
}
