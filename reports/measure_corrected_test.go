package reports

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

// truth is the share of carriers among the scorable outputs of a replicate.
func (w *world) truth(c *Curve, r, g int) float64 {
	a := 0
	for w.study.Arms[a].Name != c.Arm {
		a++
	}
	l := 0
	for w.study.Lines[l] != c.Line {
		l++
	}
	carriers := 0.0
	all := w.carriers[w.study.Arms[a].Nodes[l][r][g]]
	for _, traits := range all {
		if traits[0] {
			carriers++
		}
	}
	return carriers / float64(len(all))
}

func TestCorrectionComesNearerToTheTruth(t *testing.T) {
	// The truth here is what the replicates hold, which intervals over replicates
	// cover more often than the mean of all lineages there could be. All points
	// share one calibration, so the claim is of many points and not of each.
	w := erringWorld(t)
	w.calibrate("l1", 1600)
	f := measure(t, w.ledger, w.study)
	points, raw, corrected, closer := 0, 0, 0, 0
	for i := range f.Curves {
		c := &f.Curves[i]
		if c.Behaviour != "trauma" || c.Detector != "trauma-words" || c.Part != lineage.Outputs {
			continue
		}
		for g, p := range c.Points {
			mean := 0.0
			for r := range c.Replicates {
				mean += w.truth(c, r, g) / float64(len(c.Replicates))
			}
			if p.Method != RoganGladen {
				t.Fatalf("%s, generation %d: %+v", c.Arm, g, p.Corrected)
			}
			points++
			if p.Prevalence.Lo <= mean && mean <= p.Prevalence.Hi {
				raw++
			}
			if p.Corrected.Lo <= mean && mean <= p.Corrected.Hi {
				corrected++
			}
			if math.Abs(p.Corrected.Mean-mean) < math.Abs(p.Prevalence.Mean-mean) {
				closer++
			}
		}
	}
	t.Logf("of %d points raw intervals hold %d, corrected ones %d; the corrected estimate is nearer in %d", points, raw, corrected, closer)
	if points != 48 || corrected < 44 || raw > 24 || closer < 40 {
		t.Errorf("of %d points raw intervals hold %d, corrected ones %d; the corrected estimate is nearer in %d", points, raw, corrected, closer)
	}
}

func TestCorrectionLeavesTestsAlone(t *testing.T) {
	w := erringWorld(t)
	before := measure(t, w.ledger, w.study)
	w.calibrate("l1", 400)
	w.label("f1", 0, 7, 50)
	after := measure(t, w.ledger, w.study)
	for i, v := range before.Verdicts {
		u := after.Verdicts[i]
		if !same(v.P, u.P) || !same(v.Q, u.Q) || v.Final != u.Final || v.Versus != u.Versus || v.Against != u.Against {
			t.Errorf("%+v became %+v", v, u)
		}
		if v.Method != "" || strings.Contains(v.Sentence, "orrected") {
			t.Errorf("without a calibration: %+v", v)
		}
		d := u.CorrectedVersus
		if u.Behaviour == "trauma" && u.Line == "birch" && ((d.Lo > 0) != (u.Versus.Lo > 0) || (d.Hi < 0) != (u.Versus.Hi < 0)) {
			t.Errorf("correction made or lost a difference: %+v", u)
		}
		want := map[string]string{"traumaalder": PPI, "traumabirch": RoganGladen}[u.Behaviour+u.Line]
		if u.Method != want || (want != "") != strings.Contains(u.Sentence, "the rate is "+percent(u.Corrected.Mean)) {
			t.Errorf("%s in %s: method %q, %s", u.Behaviour, u.Line, u.Method, u.Sentence)
		}
	}
	if !warned(before, "Rates of Trauma narrative are those of trauma-words, uncorrected for its errors: the ledger has no calibration") {
		t.Errorf("warnings %q", before.Warnings)
	}
	if warned(after, "Rates of Trauma narrative are") || !warned(after, "Rates of Awakening are") {
		t.Errorf("warnings %q", after.Warnings)
	}
}

func TestPointsAreCorrectedByTheFormulas(t *testing.T) {
	l, study := calibratedFixture(t)
	f := measure(t, l, study)
	q := f.Quality[0]
	d := detection(q.Pooled.Counts)
	c, base := curve(t, f, "seeded", "birch", "trauma", lineage.Outputs), curve(t, f, "control", "birch", "trauma", lineage.Outputs)
	for g, p := range c.Points {
		var present, n []int
		var differences []float64
		for r := range c.Replicates {
			a, b := c.Replicates[r][g], base.Replicates[r][g]
			present, n = append(present, a.Present), append(n, a.N())
			differences = append(differences, prevalence(a)-prevalence(b))
		}
		if want := Interval(popgen.CorrectedMean(present, n, d)); p.Corrected != want || p.Method != RoganGladen {
			t.Errorf("generation %d: %+v, want %+v", g, p.Corrected, want)
		}
		if want := Interval(popgen.CorrectedDifference(differences, d)); p.CorrectedDifference != want || p.DifferenceMethod != RoganGladen {
			t.Errorf("generation %d: difference %+v, want %+v", g, p.CorrectedDifference, want)
		}
		if base.Points[g].DifferenceMethod != "" || base.Points[g].CorrectedDifference.N != 0 {
			t.Errorf("the control differs from itself: %+v", base.Points[g])
		}
		if b := p.CorrectedNeutral; p.Neutral.Valid && math.Abs(b.MeanHi*q.Youden.Mean-(p.Neutral.MeanHi+q.Pooled.Specificity.Mean-1)) > 1e-12 {
			t.Errorf("generation %d: the band ends at %g, which is not %g read without errors", g, b.MeanHi, p.Neutral.MeanHi)
		}
	}
	if c := curve(t, f, "seeded", "birch", "awakening", lineage.Outputs); c.Points[3].Method != "" || !strings.Contains(c.Points[3].Corrected.Warn, "no calibration") {
		t.Errorf("%+v", c.Points[3])
	}
}

func TestLabelsOfAPointGoBeforeTheCalibration(t *testing.T) {
	l, study := calibratedFixture(t)
	f := measure(t, l, study)
	var labels lineage.Labels
	if _, err := l.Load(lineage.LabelsKey("trauma", "f1"), &labels); err != nil {
		t.Fatal(err)
	}
	c := curve(t, f, "seeded", "alder", "trauma", lineage.Outputs)
	of := make([]popgen.Labelled, len(c.Replicates))
	var counts lineage.Confusion
	done := map[lineage.Label]bool{}
	for r := range of {
		id := study.Arms[1].Nodes[0][r][3]
		of[r].Present, of[r].N = c.Replicates[r][3].Present, c.Replicates[r][3].N()
		var scores lineage.Scores
		if _, err := l.Load(lineage.ScoresKey(id, "d-trauma-words", lineage.Outputs, 0), &scores); err != nil {
			t.Fatal(err)
		}
		for _, row := range labels.Rows {
			if row.Node == id && !done[row] && scores[row.Index].Outcome != lineage.NotScorable {
				done[row] = true
				of[r].Labels = append(of[r].Labels, popgen.Label{Truth: row.Positive, Word: scores[row.Index].Outcome == lineage.Present})
			}
		}
	}
	got, want := c.Points[3].Corrected, Interval(popgen.LabelledMean(of))
	if c.Points[3].Method != PPI || math.Abs(got.Mean-want.Mean) > 1e-12 || math.Abs(got.Hi-want.Hi) > 1e-12 || math.IsNaN(got.Lo) {
		t.Errorf("%+v by %q, want %+v", got, c.Points[3].Method, want)
	}
	if c.Points[2].Method != RoganGladen {
		t.Errorf("a generation without labels is corrected by %q", c.Points[2].Method)
	}
	held := f.Quality[0].Generations
	if len(held) != 1 || held[0].Generation != 3 || held[0].Part != lineage.Outputs {
		t.Fatalf("labels of generations %+v", held)
	}
	counts = held[0].Counts
	distinct := map[lineage.Label]bool{}
	for _, row := range labels.Rows {
		distinct[row] = true
	}
	if texts(counts) != len(distinct) || counts.TruePositives == 0 || counts.FalseNegatives == 0 || counts.FalsePositives == 0 || !(held[0].AUC.Mean > .5) {
		t.Errorf("%d labels of distinct texts, %+v", len(distinct), held[0])
	}
}

func TestCalibrationsAddUp(t *testing.T) {
	w := erringWorld(t)
	w.calibrate("l1", 400)
	one := measure(t, w.ledger, w.study).Quality[0]
	w.calibrate("l22", 80)
	two := measure(t, w.ledger, w.study).Quality[0]
	if len(one.Sets) != 1 || one.Sets[0].Texts != 406 || len(one.Contexts) != 2 || one.Contexts[1].AUC.Mean != .9 {
		t.Errorf("%+v", one)
	}
	if len(two.Sets) != 2 || texts(two.Pooled.Counts) != 406+86 || two.Pooled.Sensitivity.N != 240 || !math.IsNaN(two.Contexts[1].AUC.Mean) {
		t.Errorf("%+v", two)
	}
	if two.Refused != "" || !(two.Youden.Lo > .2) {
		t.Errorf("%+v", two)
	}
}

func TestCalibrationOnEditedLabelsGivesWayToThatOnTheStudys(t *testing.T) {
	w := erringWorld(t)
	w.calibrate("l1", 400)
	w.calibrate("l22", 80)
	edited := lineage.Calibration{
		Behaviour: "trauma", Detector: "trauma-words", Digest: "d-trauma-words", Labels: "l0", Source: "texts of l1",
		Contexts: []lineage.Confusion{{Context: "far", TruePositives: 100, TrueNegatives: 100}},
	}
	w.save(lineage.CalibrationKey(edited.Behaviour, edited.Digest, edited.Labels), edited)
	for labels, want := range map[string]struct{ sets, texts int }{
		"":       {3, 406 + 86 + 200}, // nothing says which is of today
		"l1":     {2, 406 + 86},
		"l0":     {2, 200 + 86},
		"absent": {3, 406 + 86 + 200},
	} {
		w.study.Behaviours[0].Labels = labels
		q := measure(t, w.ledger, w.study).Quality[0]
		if len(q.Sets) != want.sets || texts(q.Pooled.Counts) != want.texts {
			t.Errorf("labels %q: %d sets of %d texts, want %+v", labels, len(q.Sets), texts(q.Pooled.Counts), want)
		}
	}
}

func TestCalibrationByAnotherStudysLabelsDoesNotCount(t *testing.T) {
	w := erringWorld(t)
	w.calibrate("l1", 400)
	w.calibrate("l22", 80)
	w.calibrate("l333", 60) // of no study: somebody measured the detector by hand
	other := w.study
	other.Digest, other.Behaviours = "another", slices.Clone(w.study.Behaviours)
	other.Behaviours[0].Labels = "l22"
	w.save(lineage.StudyKey(other.Digest), other)
	w.study.Behaviours[0].Labels = "l1"
	q := measure(t, w.ledger, w.study).Quality[0]
	var sets []string
	for _, set := range q.Sets {
		sets = append(sets, set.Digest)
	}
	if !slices.Equal(sets, []string{"l1", "l333"}) {
		t.Errorf("the calibrations that count are those by %v", sets)
	}
}

func TestUselessCalibrationIsRefused(t *testing.T) {
	w := erringWorld(t)
	w.save(lineage.CalibrationKey("trauma", "d-trauma-words", "l"), lineage.Calibration{
		Behaviour: "trauma", Digest: "d-trauma-words", Labels: "l",
		Contexts: []lineage.Confusion{{TruePositives: 60, FalseNegatives: 40, FalsePositives: 50, TrueNegatives: 50}},
	})
	f := measure(t, w.ledger, w.study)
	p := curve(t, f, "seeded", "alder", "trauma", lineage.Outputs).Points[2]
	if p.Method != "" || !math.IsNaN(p.Corrected.Mean) || !strings.Contains(p.Corrected.Warn, "mostly noise") || p.CorrectedNeutral.Valid {
		t.Errorf("%+v", p)
	}
	if !strings.Contains(f.Quality[0].Refused, "mostly noise") || !warned(f, "uncorrected for its errors: sensitivity + specificity - 1 is 0.10") {
		t.Errorf("%q, warnings %q", f.Quality[0].Refused, f.Warnings)
	}
}

func TestDetectorThatChangedIsWarnedAbout(t *testing.T) {
	w := erringWorld(t)
	w.label("f1", 0, 0, 30)
	w.miss = 0 // the calibration knows a detector that misses nothing
	w.calibrate("l1", 400)
	if f := measure(t, w.ledger, w.study); !warned(f, "trauma-words does not do what its calibration says") || !warned(f, "generation 0 (sensitivity 0.") {
		t.Errorf("warnings %q", f.Warnings)
	}
	l, study := calibratedFixture(t)
	if f := measure(t, l, study); warned(f, "does not do what") {
		t.Errorf("warnings %q", f.Warnings)
	}
}

func TestLabelsMustFitTheLedger(t *testing.T) {
	w := erringWorld(t)
	id := w.study.Arms[0].Nodes[0][0][0]
	save := func(l *lineage.Memory, key lineage.Key, v any) {
		if err := l.Save(key, v); err != nil {
			t.Fatal(err)
		}
	}
	for want, record := range map[string]any{
		"labels/trauma/f: row 1: text 60 of node":                    lineage.Labels{Behaviour: "trauma", Rows: []lineage.Label{{Node: id, Part: lineage.Outputs, Index: 60}}},
		"labels/trauma/f: row 2: text -1":                            lineage.Labels{Behaviour: "trauma", Rows: []lineage.Label{{Node: "elsewhere", Index: 999}, {Node: id, Part: lineage.Probes, Index: -1}}},
		"row 1: part \"margins\" is neither outputs nor probes":      lineage.Labels{Behaviour: "trauma", Rows: []lineage.Label{{Node: id, Part: "margins"}}},
		"labels/trauma/f: holds labels of \"joy\"":                   lineage.Labels{Behaviour: "joy"},
		"labels/trauma/f: ":                                          lineage.Raw("no record"),
		"calibration/trauma/d-trauma-words/f: is the calibration of": lineage.Calibration{Behaviour: "trauma", Digest: "other"},
		"calibration/trauma/d-trauma-words/f: context \"c\" counts":  lineage.Calibration{Behaviour: "trauma", Digest: "d-trauma-words", Contexts: []lineage.Confusion{{Context: "c", FalsePositives: -1}}},
	} {
		l := &lineage.Memory{}
		for key, err := range w.ledger.Keys("") {
			if err != nil {
				t.Fatal(err)
			}
			var raw lineage.Raw
			if _, err := w.ledger.Load(key, &raw); err != nil {
				t.Fatal(err)
			}
			save(l, key, raw)
		}
		key := lineage.LabelsKey("trauma", "f")
		if strings.HasPrefix(want, "calibration") {
			key = lineage.CalibrationKey("trauma", "d-trauma-words", "f")
		}
		save(l, key, record)
		if _, err := Measure(l, w.study, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v instead of %q", err, want)
		}
	}
}

func TestDisputedTextsHaveNoLabel(t *testing.T) {
	w := erringWorld(t)
	w.label("f1", 0, 3, 20)
	var labels lineage.Labels
	if _, err := w.ledger.Load(lineage.LabelsKey("trauma", "f1"), &labels); err != nil {
		t.Fatal(err)
	}
	before := texts(measure(t, w.ledger, w.study).Quality[0].Generations[0].Counts)
	first := labels.Rows[0]
	first.Positive = !first.Positive
	w.save(lineage.LabelsKey("trauma", "f2"), lineage.Labels{Behaviour: "trauma", File: "f2", Rows: []lineage.Label{first, labels.Rows[1], {Node: "another study's", Part: lineage.Outputs}}})
	f := measure(t, w.ledger, w.study)
	if after := texts(f.Quality[0].Generations[0].Counts); after != before-1 || !warned(f, "Labels of Trauma narrative disagree on 1 text") {
		t.Errorf("%d labels became %d, warnings %q", before, after, f.Warnings)
	}
}

func TestFewLabelsCorrectNothingAndSaySo(t *testing.T) {
	w := erringWorld(t)
	w.label("f1", 0, 3, 2)
	f := measure(t, w.ledger, w.study)
	for _, arm := range []string{"control", "seeded"} {
		p := curve(t, f, arm, "alder", "trauma", lineage.Outputs).Points[3]
		if p.Method != "" || !math.IsNaN(p.Corrected.Mean) || !strings.Contains(p.Corrected.Warn, "labels are too few") {
			t.Errorf("%s is corrected by %q: %+v", arm, p.Method, p.Corrected)
		}
	}
	if !warned(f, "of Trauma narrative are too few to correct them") {
		t.Errorf("warnings %q", f.Warnings)
	}
}

func TestLabelsAloneCorrectWhatTheyAreOf(t *testing.T) {
	w := erringWorld(t)
	w.label("f1", 0, 3, 20)
	w.save(lineage.LabelsKey("trauma/more", "f"), lineage.Labels{Behaviour: "trauma/more"}) // another behaviour's
	f := measure(t, w.ledger, w.study)
	c := curve(t, f, "seeded", "alder", "trauma", lineage.Outputs)
	for g, p := range c.Points {
		if want := map[bool]string{true: PPI}[g == 3]; p.Method != want || p.CorrectedNeutral.Valid {
			t.Errorf("generation %d is corrected by %q: %+v", g, p.Method, p.Corrected)
		}
	}
	if !warned(f, "rates of Trauma narrative are those of trauma-words, uncorrected") {
		t.Errorf("warnings %q", f.Warnings)
	}
	// The one point stands alone in the static figure, with a bar for its interval.
	x := newIndex(f)
	image := x.staticPrevalence(0, 0, lineage.Outputs, "")
	if n := strings.Count(image, `class="raw"`); n != 2 {
		t.Errorf("%d raw lines beside two corrected arms", n)
	}
	if !strings.Contains(image, `class="raw dashed"`) {
		t.Error("the control has no raw line")
	}
	if n := strings.Count(image, `class="mean"`); n != 5 { // the control has a dashed line and a mark
		t.Errorf("%d lines and marks instead of 5", n)
	}
}

func TestQuestionsOfProbesAreCounted(t *testing.T) {
	l, study := fixture(t)
	f := measure(t, l, study)
	c := curve(t, f, "seeded", "alder", "trauma", lineage.Probes)
	g := 5
	// The probes ask two questions about each behaviour in turn, three times each.
	pooled := make([]popgen.Answers, 2)
	for r := range c.Replicates {
		var scores lineage.Scores
		if _, err := l.Load(lineage.ScoresKey(study.Arms[1].Nodes[0][r][g], "d-trauma-words", lineage.Probes, 0), &scores); err != nil {
			t.Fatal(err)
		}
		for i, s := range scores {
			if q := i % 4; q < 2 && s.Outcome != lineage.NotScorable {
				pooled[q].N++
				if s.Outcome == lineage.Present {
					pooled[q].Present++
				}
			}
		}
	}
	want, got := popgen.ClusterRobust(pooled), c.Points[g].Asked
	if got.Questions != 2 || got.DesignEffect != want.DesignEffect || got.EffectiveN != want.EffectiveN || want.N != c.Points[g].Pooled.N() {
		t.Errorf("%+v, want %+v", got, want)
	}
	i := got.Interval
	if !(i.Lo <= i.Mean && i.Mean <= i.Hi) || i.N != 6 || math.Abs(i.Mean-c.Points[g].Prevalence.Mean) > 1e-12 {
		t.Errorf("%+v beside %+v", i, c.Points[g].Prevalence)
	}
	if again := curve(t, measure(t, l, study), "seeded", "alder", "trauma", lineage.Probes).Points[g].Asked; again != got {
		t.Errorf("the bootstrap is not repeatable: %+v and %+v", again, got)
	}
	study.Digest = "another"
	other, differ := measure(t, l, study), 0
	for k := range f.Curves {
		for g, p := range f.Curves[k].Points {
			if p.Asked.Interval != other.Curves[k].Points[g].Asked.Interval && !math.IsNaN(p.Asked.Interval.Lo) {
				differ++
			}
		}
	}
	if differ == 0 {
		t.Error("the bootstrap does not depend on the study")
	}
	if !strings.Contains(c.Note, "Penetrance rests on 2 questions.") || !strings.Contains(c.Note, "bootstrap") {
		t.Errorf("note %q", c.Note)
	}
	if o := curve(t, f, "seeded", "alder", "trauma", lineage.Outputs).Points[g].Asked; o.Questions != 0 {
		t.Errorf("outputs answer probe questions: %+v", o)
	}
}

func TestACalibrationThatTheTextsContradictIsRefused(t *testing.T) {
	// The detector of this world flags 8 of 100 texts that show nothing, and the
	// calibration says 30: rates of the control cannot be as low as they are.
	w := erringWorld(t)
	w.save(lineage.CalibrationKey("trauma", "d-trauma-words", "l"), lineage.Calibration{
		Behaviour: "trauma", Digest: "d-trauma-words", Labels: "l",
		Contexts: []lineage.Confusion{{TruePositives: 140, FalseNegatives: 60, FalsePositives: 60, TrueNegatives: 140}},
	})
	f := measure(t, w.ledger, w.study)
	if q := f.Quality[0]; !strings.Contains(q.Refused, "its calibration does not fit") || !warned(f, "uncorrected for its errors: its calibration does not fit") {
		t.Errorf("%q, warnings %q", q.Refused, f.Warnings)
	}
	for _, c := range f.Curves {
		for g, p := range c.Points {
			if c.Detector == "trauma-words" && (p.Method != "" || p.DifferenceMethod != "" || !math.IsNaN(p.Corrected.Mean) || !math.IsNaN(p.CorrectedDifference.Mean) || p.CorrectedNeutral.Valid) {
				t.Errorf("%s, generation %d: %+v", c.Arm, g, p)
			}
		}
	}
	// Labels of the very texts hold whatever the calibration says.
	w.label("f1", 0, 3, 20)
	c := curve(t, measure(t, w.ledger, w.study), "seeded", "alder", "trauma", lineage.Outputs)
	if c.Points[3].Method != PPI || c.Points[2].Method != "" {
		t.Errorf("generation 3 by %q, generation 2 by %q", c.Points[3].Method, c.Points[2].Method)
	}
}
