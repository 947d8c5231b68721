package reports

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
)

// island is what a page's script reads. Positions stand for names; the script
// puts names on the screen as text and looks nothing else up by them.
type island struct {
	Study       string                     `json:"study"`
	Digest      string                     `json:"digest"`
	Generations int                        `json:"generations"`
	Replicates  int                        `json:"replicates"`
	Drawn       int                        `json:"drawn"` // replicates with their own line
	Arms        []armData                  `json:"arms"`
	Lines       []string                   `json:"lines"`
	Behaviours  []behaviourData            `json:"behaviours"`
	Opens       opening                    `json:"opens"`
	Curves      []curveData                `json:"curves"`
	Sources     []string                   `json:"sources"`
	Descents    []descentData              `json:"descents"` // one an arm
	Options     map[string]json.RawMessage `json:"options"`
}

type armData struct {
	Name    string      `json:"name"`
	About   string      `json:"about,omitempty"`
	Control bool        `json:"control,omitempty"`
	Base    int         `json:"base"` // the control that it is compared with; -1 for none
	Events  []eventData `json:"events,omitempty"`
}

type eventData struct {
	Text  string `json:"text"`
	Lines []int  `json:"lines,omitempty"` // none: all
	From  int    `json:"from"`
	To    int    `json:"to"`
}

type behaviourData struct {
	Name      string   `json:"name"`
	Detectors []string `json:"detectors"` // those with curves; the first judges
	Refused   []string `json:"refused"`   // why rates of each are not corrected by a calibration; "" where they are
}

// curveData is a Curve in columns, parallel to its generations.
type curveData struct {
	Arm        int        `json:"a"`
	Line       int        `json:"l"`
	Behaviour  int        `json:"b"`
	Detector   int        `json:"d"` // in behaviourData.Detectors
	Probes     bool       `json:"p,omitempty"`
	Generation []int      `json:"g"`
	Mean       column     `json:"mean"`
	Lo         column     `json:"lo"`
	Hi         column     `json:"hi"`
	N          column     `json:"n"`
	Versus     column     `json:"dmean"` // difference from control
	VersusLo   column     `json:"dlo"`
	VersusHi   column     `json:"dhi"`
	Present    column     `json:"present"` // texts of all replicates
	Scored     column     `json:"scored"`
	Unscored   column     `json:"unscored"`
	NeutralLo  column     `json:"slo"` // of a single lineage
	NeutralHi  column     `json:"shi"`
	MeanLo     column     `json:"mlo"` // of the mean over replicates
	MeanHi     column     `json:"mhi"`
	Corrected  column     `json:"cmean,omitempty"` // absent where no point is corrected
	CorrLo     column     `json:"clo,omitempty"`
	CorrHi     column     `json:"chi,omitempty"`
	Method     column     `json:"cby,omitempty"` // 0 for none, 1 for a calibration, 2 for labels
	CorrVersus column     `json:"cdmean,omitempty"`
	CorrVsLo   column     `json:"cdlo,omitempty"`
	CorrVsHi   column     `json:"cdhi,omitempty"`
	CorrNeutLo column     `json:"cmlo,omitempty"`
	CorrNeutHi column     `json:"cmhi,omitempty"`
	Questions  column     `json:"q,omitempty"` // of probes
	EffectiveN column     `json:"qn,omitempty"`
	Design     column     `json:"qd,omitempty"`
	AskedLo    column     `json:"qlo,omitempty"`
	AskedHi    column     `json:"qhi,omitempty"`
	Replicates [][]number `json:"reps,omitempty"`
	Note       string     `json:"note,omitempty"` // what the neutral band rests on
}

// drawnReplicates bounds how many replicates have a line of their own, so that
// a page stays light: at most 50, and about 200 000 points in all.
func (x *index) drawnReplicates() int {
	points := 0
	for _, c := range x.Curves {
		if c.Part == lineage.Outputs {
			points += x.generations
		}
	}
	return min(x.Study.Replicates, 50, max(1, 200_000/max(1, points)))
}

func (x *index) island(options map[string]json.RawMessage) island {
	d := island{
		Study: label(x.Study.Name, 80), Digest: label(x.Study.Digest, 80),
		Generations: x.generations, Replicates: x.Study.Replicates, Drawn: x.drawnReplicates(),
		Arms: []armData{}, Lines: x.lines, Behaviours: []behaviourData{}, Curves: []curveData{}, Opens: x.opens, Options: options,
	}
	for i, a := range x.Study.Arms {
		arm := armData{Name: x.arms[i], About: label(a.About, 200), Control: a.Control, Base: x.baseline(i)}
		for _, e := range a.Events {
			arm.Events = append(arm.Events, eventData{Text: eventText(e), Lines: x.lineNumbers(e.Lines), From: e.From, To: e.To})
		}
		d.Arms = append(d.Arms, arm)
	}
	detectors := x.detectors()
	for _, c := range x.Curves {
		a, okA := x.arm[c.Arm]
		l, okL := x.line[c.Line]
		b, okB := x.behaviour[c.Behaviour]
		if !okA || !okL || !okB {
			continue
		}
		d.Curves = append(d.Curves, x.columns(c, a, l, b, slices.Index(detectors[b], c.Detector), d.Drawn))
	}
	for b, title := range x.behaviours {
		d.Behaviours = append(d.Behaviours, behaviourData{Name: title, Detectors: names(detectors[b]), Refused: x.refusals(b, detectors[b])})
	}
	d.Sources, d.Descents = x.descents()
	return d
}

// detectors lists those that have curves of each behaviour, the judging one first.
func (x *index) detectors() [][]string {
	all := make([][]string, len(x.behaviours))
	for b, behaviour := range x.Study.Behaviours {
		for _, c := range x.Curves {
			if c.Behaviour == behaviour.Name && !slices.Contains(all[b], c.Detector) {
				all[b] = append(all[b], c.Detector)
			}
		}
		place := func(name string) int {
			if i := slices.Index(behaviour.Detectors, name); i >= 0 {
				return i
			}
			return len(behaviour.Detectors)
		}
		slices.SortStableFunc(all[b], func(p, q string) int { return cmp.Compare(place(p), place(q)) })
	}
	return all
}

func (x *index) lineNumbers(lines []string) []int {
	var at []int
	for _, l := range lines {
		if i, ok := x.line[l]; ok {
			at = append(at, i)
		}
	}
	return at
}

func (x *index) columns(c Curve, arm, line, behaviour, detector, drawn int) curveData {
	d := curveData{Generation: []int{}, Arm: arm, Line: line, Behaviour: behaviour, Detector: detector, Probes: c.Part == lineage.Probes, Note: label(c.Note, 600)}
	add := func(to *column, v float64) { *to = append(*to, x.number(v)) }
	for _, p := range c.Points {
		d.Generation = append(d.Generation, p.Generation)
		add(&d.Mean, p.Prevalence.Mean)
		add(&d.Lo, p.Prevalence.Lo)
		add(&d.Hi, p.Prevalence.Hi)
		add(&d.N, float64(p.Prevalence.N))
		add(&d.Present, float64(p.Pooled.Present))
		add(&d.Scored, float64(p.Pooled.N()))
		add(&d.Unscored, float64(p.Pooled.Unscored))
		versus, neutral := p.Difference, p.Neutral
		if versus.N == 0 {
			versus = Interval{Mean: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
		}
		if !neutral.Valid || d.Probes {
			neutral = Band{Lo: math.NaN(), Hi: math.NaN(), MeanLo: math.NaN(), MeanHi: math.NaN()}
		}
		add(&d.Versus, versus.Mean)
		add(&d.VersusLo, versus.Lo)
		add(&d.VersusHi, versus.Hi)
		add(&d.NeutralLo, neutral.Lo)
		add(&d.NeutralHi, neutral.Hi)
		add(&d.MeanLo, neutral.MeanLo)
		add(&d.MeanHi, neutral.MeanHi)
	}
	x.corrections(&d, c)
	if d.Probes {
		return d
	}
	for _, tallies := range c.Replicates[:min(drawn, len(c.Replicates))] {
		row := make([]number, len(tallies))
		for g, t := range tallies {
			row[g] = number(math.Round(share(t)*1e4) / 1e4)
		}
		d.Replicates = append(d.Replicates, row)
	}
	return d
}

// corrections fills the columns of what is corrected, and of the questions asked.
func (x *index) corrections(d *curveData, c Curve) {
	add := func(to *column, v float64) { *to = append(*to, x.number(v)) }
	method := map[string]float64{RoganGladen: 1, PPI: 2}
	for _, p := range c.Points {
		if corrects(&c) {
			e, v, b := p.Corrected, p.CorrectedDifference, p.CorrectedNeutral
			if p.Method == "" {
				e = nothing("")
			}
			if p.DifferenceMethod == "" {
				v = nothing("")
			}
			if !b.Valid || d.Probes {
				b = noBand()
			}
			add(&d.Corrected, e.Mean)
			add(&d.CorrLo, e.Lo)
			add(&d.CorrHi, e.Hi)
			add(&d.Method, method[p.Method])
			add(&d.CorrVersus, v.Mean)
			add(&d.CorrVsLo, v.Lo)
			add(&d.CorrVsHi, v.Hi)
			add(&d.CorrNeutLo, b.MeanLo)
			add(&d.CorrNeutHi, b.MeanHi)
		}
		if a := p.Asked; d.Probes {
			questions := float64(a.Questions)
			if a.Questions == 0 {
				a = Asked{DesignEffect: math.NaN(), EffectiveN: math.NaN(), Interval: nothing("")}
				questions = math.NaN()
			}
			add(&d.Questions, questions)
			add(&d.EffectiveN, a.EffectiveN)
			add(&d.Design, a.DesignEffect)
			add(&d.AskedLo, a.Interval.Lo)
			add(&d.AskedHi, a.Interval.Hi)
		}
	}
}

// refusals says of each detector of a behaviour why its rates are not corrected.
func (x *index) refusals(behaviour int, detectors []string) []string {
	why := make([]string, len(detectors))
	for _, q := range x.Quality {
		if i := slices.Index(detectors, q.Detector); i >= 0 && q.Behaviour == x.Study.Behaviours[behaviour].Name {
			why[i] = label(q.Refused, 200)
		}
	}
	return why
}
