package reports

import (
	"math"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

func TestPartialRunIsDrawnAsFarAsItGot(t *testing.T) {
	l, study := fixture(t)
	gone := map[lineage.ID]bool{}
	for _, arm := range study.Arms {
		for _, line := range arm.Nodes {
			for _, id := range line[2][5:] {
				gone[id] = true
			}
			gone[line[4][7]] = true
		}
	}
	partial := doctored{Ledger: l, lacks: func(k lineage.Key) bool {
		id, ok := strings.CutPrefix(string(k), "node/")
		return ok && gone[lineage.ID(id)]
	}}
	f, whole := measure(t, partial, study), measure(t, l, study)
	if len(f.Missing) != len(gone) || len(whole.Missing) != 0 {
		t.Errorf("%d missing, want %d; %d of the whole", len(f.Missing), len(gone), len(whole.Missing))
	}
	if !strings.HasPrefix(f.Title, "So far: ") || !warned(f, "Partial run") {
		t.Errorf("title %q, warnings %q", f.Title, f.Warnings)
	}
	for i := range f.Curves {
		a, b := f.Curves[i], whole.Curves[i]
		for g := range a.Points {
			want := 6
			if g >= 5 {
				want = 5
			}
			if g == 7 {
				want = 4
			}
			// One of the other replicates may have nothing that could be scored.
			if n := a.Points[g].Prevalence.N; n > want || n < want-1 {
				t.Errorf("generation %d rests on %d replicates, want %d", g, n, want)
			}
			if g < 5 && a.Points[g].Prevalence != b.Points[g].Prevalence {
				t.Errorf("generation %d changed by what came later", g)
			}
			if a.Part == lineage.Outputs && !a.Points[g].Neutral.Valid {
				t.Errorf("generation %d has no band", g)
			}
		}
	}
}

func TestEmptyLedgerIsAPartialRun(t *testing.T) {
	_, study := fixture(t)
	f := measure(t, &lineage.Memory{}, study)
	if len(f.Missing) == 0 || len(f.Samples) != 0 || len(f.Verdicts) != 8 {
		t.Errorf("%d missing, %d samples, %d verdicts", len(f.Missing), len(f.Samples), len(f.Verdicts))
	}
	for _, v := range f.Verdicts {
		if !math.IsNaN(v.P) || !math.IsNaN(v.Q) || !strings.HasPrefix(v.Sentence, "No evidence either way") {
			t.Errorf("verdict on nothing: %+v", v)
		}
	}
	if f := measure(t, &lineage.Memory{}, lineage.Study{}); f.Title == "" {
		t.Error("an empty study has no title")
	}
}

func TestUnscoredDetectorIsWarnedAbout(t *testing.T) {
	l, study := fixture(t)
	f := measure(t, doctored{Ledger: l, lacks: func(k lineage.Key) bool { return strings.Contains(string(k), "/d-trauma-judge/") }}, study)
	if !warned(f, "trauma-judge has not scored") {
		t.Errorf("warnings: %q", f.Warnings)
	}
	for _, c := range f.Curves {
		if c.Detector == "trauma-judge" && c.last() >= 0 {
			t.Errorf("a curve without scores has points: %+v", c)
		}
	}
}

func TestBrokenRecordsAreErrorsWithTheirKey(t *testing.T) {
	l, study := fixture(t)
	for name, d := range map[string]doctored{
		"scores/": {scores: func(_ lineage.Key, s lineage.Scores) lineage.Scores { return s[1:] }},
		"node/":   {node: func(n *lineage.Node) { n.ID += "x" }},
	} {
		d.Ledger = l
		if _, err := Measure(d, study, Options{}); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	d := doctored{Ledger: l, lacks: func(k lineage.Key) bool { return strings.HasPrefix(string(k), "outputs/") }}
	if _, err := Measure(d, study, Options{}); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("texts are gone: error %v", err)
	}
	for name, change := range map[string]func(*lineage.Study){
		"arm":      func(s *lineage.Study) { s.Lines = s.Lines[:1] },
		"detector": func(s *lineage.Study) { s.Detectors = s.Detectors[1:] },
	} {
		bad := study
		change(&bad)
		if _, err := Measure(l, bad, Options{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCollapseIsOneSentenceThatSaysWhetherTheControlHasIt(t *testing.T) {
	l, study := fixture(t)
	in := func(arms []lineage.Arm) map[lineage.ID]bool {
		ids := map[lineage.ID]bool{}
		for _, arm := range arms {
			for _, line := range arm.Nodes {
				for _, replicate := range line {
					for _, id := range replicate {
						ids[id] = true
					}
				}
			}
		}
		return ids
	}
	control := in(study.Arms[:1])
	for want, hit := range map[string]func(*lineage.Node) bool{
		"in 6 of 6 pairs of arm and line, the control included: it comes from the mixture and not from the seeding.": func(*lineage.Node) bool { return true },
		"and in none of the control: it comes with what the arms do.":                                                func(n *lineage.Node) bool { return !control[n.ID] },
		", 1 of 2 of the control included.":                                                                          func(n *lineage.Node) bool { return n.Line == "birch" },
	} {
		f := measure(t, doctored{Ledger: l, node: func(n *lineage.Node) {
			loss := 2.0
			if hit(n) {
				loss += float64(n.Generation)
			}
			n.Health.HeldOut = &loss
		}}, study)
		var found []string
		for _, w := range f.Warnings {
			if strings.Contains(w, "held-out") {
				found = append(found, w)
			}
		}
		if len(found) != 1 || !strings.Contains(found[0], want) || !strings.Contains(found[0], "rose by 7.0 nats a token by the last generation") {
			t.Errorf("%q instead of one sentence with %q", found, want)
		}
	}
}

func TestWarningsNameTheTrap(t *testing.T) {
	l, study := fixture(t)
	low := .1
	plain := measure(t, l, study)
	for want, d := range map[string]doctored{
		"could not score up to": {scores: func(k lineage.Key, s lineage.Scores) lineage.Scores {
			for i := range s {
				if i%3 == 0 && strings.Contains(string(k), "d-awakening-words/outputs") {
					s[i] = lineage.Score{}
				}
			}
			return s
		}},
		"answers to one question never differ": {scores: func(k lineage.Key, s lineage.Scores) lineage.Scores {
			for i := range s {
				s[i] = lineage.Score{Outcome: lineage.Absent}
				if i%12 < 4 {
					s[i].Outcome = lineage.Present
				}
			}
			return s
		}},
		"distinct word pairs fell": {node: func(n *lineage.Node) {
			n.Health.Distinct2 /= float64(1 + n.Generation)
		}},
		"loss on held-out text rose": {node: func(n *lineage.Node) {
			loss := low + .3*float64(n.Generation)
			n.Health.HeldOut = &loss
		}},
		"fell silent":              {node: func(n *lineage.Node) { n.Health.Empty = n.Health.Sampled / 3 }},
		"treats the text channel":  {node: func(n *lineage.Node) { n.Base = lineage.Parent }},
		"prompts q are not in":     {lacks: func(k lineage.Key) bool { return k == lineage.PromptsKey("q") }},
		"could score nothing amon": {scores: func(_ lineage.Key, s lineage.Scores) lineage.Scores { return make(lineage.Scores, len(s)) }},
	} {
		d.Ledger = l
		if warned(plain, want) {
			t.Errorf("the fixture itself is warned about: %s", want)
		}
		if f := measure(t, d, study); !warned(f, want) {
			t.Errorf("no warning %q among %q", want, f.Warnings)
		}
	}
}

// TestHiddenTraitIsFoundInProbes: where nothing that is published differs, what
// probes elicit is the headline, and said to be that.
func TestHiddenTraitIsFoundInProbes(t *testing.T) {
	w := newWorld(t, 12, 6)
	w.selection = .8
	w.run()
	f := measure(t, w.ledger, w.study)
	if len(f.Elicited) != len(f.Verdicts) {
		t.Fatalf("%d verdicts on probes and %d on outputs", len(f.Elicited), len(f.Verdicts))
	}
	for i, v := range f.Elicited {
		if f.Verdicts[i].Part != lineage.Outputs || v.Part != lineage.Probes || !strings.Contains(v.Sentence, ", when probed, is at") || v.Against != "" {
			t.Errorf("%+v", v)
		}
	}
	if strings.Contains(f.Title, "probed") {
		t.Errorf("what is published comes first: %s", f.Title)
	}
	for i := range f.Verdicts {
		f.Verdicts[i].Q = 1
	}
	m := measurement{Findings: f}
	if title, lead := m.finding(); !strings.HasPrefix(title, "Awakening spread to birch, when probed: +") || lead != -1 {
		t.Errorf("%s (%d)", title, lead)
	}
}
