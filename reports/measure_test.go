package reports

import (
	"bytes"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

// doctored is a ledger that lacks some records and changes others on the way.
type doctored struct {
	lineage.Ledger
	lacks  func(lineage.Key) bool
	node   func(*lineage.Node)
	scores func(lineage.Key, lineage.Scores) lineage.Scores
	texts  func(lineage.Texts)
}

func (d doctored) Load(key lineage.Key, v any) (bool, error) {
	if d.lacks != nil && d.lacks(key) {
		return false, nil
	}
	ok, err := d.Ledger.Load(key, v)
	switch v := v.(type) {
	case *lineage.Node:
		if d.node != nil && ok {
			d.node(v)
		}
	case *lineage.Scores:
		if d.scores != nil && ok {
			*v = d.scores(key, *v)
		}
	case *lineage.Texts:
		if d.texts != nil && ok {
			d.texts(*v)
		}
	}
	return ok, err
}

func (d doctored) Keys(prefix lineage.Key) iter.Seq2[lineage.Key, error] {
	return func(yield func(lineage.Key, error) bool) {
		for key, err := range d.Ledger.Keys(prefix) {
			if (d.lacks == nil || !d.lacks(key)) && !yield(key, err) {
				return
			}
		}
	}
}

func measure(t testing.TB, l lineage.Ledger, study lineage.Study) *Findings {
	t.Helper()
	f, err := Measure(l, study, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func curve(t testing.TB, f *Findings, arm, line, behaviour, part string) *Curve {
	t.Helper()
	for i := range f.Curves {
		if c := &f.Curves[i]; c.Arm == arm && c.Line == line && c.Behaviour == behaviour && c.Part == part {
			return c
		}
	}
	t.Fatalf("no curve for %s, %s, %s, %s", arm, line, behaviour, part)
	return nil
}

func warned(f *Findings, what string) bool {
	return slices.ContainsFunc(f.Warnings, func(w string) bool { return strings.Contains(w, what) })
}

func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

func TestMeasureCountsWhatDetectorsSaid(t *testing.T) {
	l, study := fixture(t)
	f := measure(t, l, study)
	for _, arm := range study.Arms {
		for li, line := range study.Lines {
			for _, b := range study.Behaviours {
				for _, part := range parts {
					c := curve(t, f, arm.Name, line, b.Name, part)
					if c.Detector != b.Detectors[0] {
						t.Errorf("the first curve of %s is by %s", b.Name, c.Detector)
					}
					for r, ids := range arm.Nodes[li] {
						for g, id := range ids {
							var scores lineage.Scores
							if _, err := l.Load(lineage.ScoresKey(id, "d-"+c.Detector, part, 0), &scores); err != nil {
								t.Fatal(err)
							}
							var want lineage.Tally
							for i, s := range scores {
								// The probes ask two questions about each behaviour in turn.
								if part == lineage.Outputs || traits[i%4/2].name == b.Name {
									want.Add(s.Outcome)
								}
							}
							if c.Replicates[r][g] != want {
								t.Errorf("%s %s %s %s %d/%d: %+v, want %+v", arm.Name, line, b.Name, part, r, g, c.Replicates[r][g], want)
							}
						}
					}
				}
			}
		}
	}
}

func TestIntervalsAreOverReplicates(t *testing.T) {
	l, study := fixture(t)
	f := measure(t, l, study)
	seeded, control := curve(t, f, "seeded", "alder", "trauma", lineage.Outputs), curve(t, f, "control", "alder", "trauma", lineage.Outputs)
	for g, p := range seeded.Points {
		var shares, differences []float64
		var pooled lineage.Tally
		for r, generations := range seeded.Replicates {
			share := func(t lineage.Tally) float64 { return float64(t.Present) / float64(t.Present+t.Absent) }
			shares = append(shares, share(generations[g]))
			differences = append(differences, share(generations[g])-share(control.Replicates[r][g]))
			pooled.Present += generations[g].Present
			pooled.Absent += generations[g].Absent
			pooled.Unscored += generations[g].Unscored
		}
		e, d := popgen.TInterval(shares), popgen.TInterval(differences)
		if got := p.Prevalence; got.Mean != e.Mean || got.Lo != max(0, e.Lo) || got.Hi != min(1, e.Hi) || got.N != 6 {
			t.Errorf("generation %d: prevalence %+v, want %+v", g, got, e)
		}
		if got := p.Difference; got != Interval(d) {
			t.Errorf("generation %d: difference %+v, want %+v", g, got, d)
		}
		if p.Pooled != pooled {
			t.Errorf("generation %d: pooled %+v, want %+v", g, p.Pooled, pooled)
		}
		if n := control.Points[g].Difference; n.N != 0 || !math.IsNaN(n.Mean) {
			t.Errorf("the control differs from itself: %+v", n)
		}
		if g == len(seeded.Points)-1 {
			v := f.Verdicts[0]
			if v.Arm != "seeded" || v.Line != "alder" || v.Behaviour != "trauma" || !v.Seeded || v.Generation != g {
				t.Fatalf("the first verdict is %+v", v)
			}
			if want := popgen.SignFlip(differences, nil); v.P != want || v.Versus != p.Difference || v.Final != p.Prevalence {
				t.Errorf("verdict %+v, want p = %g", v, want)
			}
		}
	}
	if n := len(f.Verdicts); n != 2*2*2 {
		t.Errorf("%d verdicts for two arms, lines and behaviours", n)
	}
}

func TestMeasureIsAFunctionOfTheLedger(t *testing.T) {
	write := func() []byte {
		l, study := fixture(t)
		f := measure(t, l, study)
		var b bytes.Buffer
		for _, w := range []func(*Findings) error{
			func(f *Findings) error { return f.JSON(&b) },
			func(f *Findings) error { return f.CSV(&b) },
			func(f *Findings) error { return f.ReplicatesCSV(&b) },
		} {
			if err := w(f); err != nil {
				t.Fatal(err)
			}
		}
		return b.Bytes()
	}
	if !bytes.Equal(write(), write()) {
		t.Error("two measurements of one study differ")
	}
}

func TestSeedsSetTheDoseAndTheStart(t *testing.T) {
	l, study := fixture(t)
	f := measure(t, l, study)
	want := []Dose{
		{"seeded", "alder", "trauma", 0, 18, 60}, {"seeded", "alder", "awakening", 0, 18, 60},
		{"quarantined", "alder", "trauma", 0, 18, 60}, {"quarantined", "alder", "awakening", 0, 18, 60},
	}
	if !slices.Equal(f.Doses, want) {
		t.Errorf("doses %v, want %v", f.Doses, want)
	}
	c := curve(t, f, "seeded", "birch", "trauma", lineage.Outputs)
	if b := c.Points[0]; !b.Neutral.Valid || math.Abs(b.Neutral.Mean-b.Prevalence.Mean) > 1e-12 {
		t.Errorf("the band starts at %+v, and generation 0 published %+v", b.Neutral, b.Prevalence)
	}
	if !strings.Contains(c.Note, "generation 0, the last with seeds") || strings.Contains(c.Note, "weights") {
		t.Errorf("note: %s", c.Note)
	}
	for _, p := range curve(t, f, "seeded", "birch", "trauma", lineage.Probes).Points {
		if p.Neutral.Valid {
			t.Error("probes have a neutral band, though nobody learns from them")
		}
	}
}

func TestNeutralBandHoldsWhatIsOnlyCopied(t *testing.T) {
	// 60 replicates of two lines over five copied generations. Coverage of single
	// lineages is at least .93 by design; 600 correlated checks at .88 or more, and
	// at most one of ten means outside, fail for a right band in less than 1 %.
	w := newWorld(t, 60, 6)
	w.run()
	f := measure(t, w.ledger, w.study)
	outside, within, all := 0, 0, 0
	for _, line := range w.study.Lines {
		c := curve(t, f, "seeded", line, "trauma", lineage.Outputs)
		for g := 1; g < 6; g++ {
			p := c.Points[g]
			for r := range c.Replicates {
				if x := prevalence(c.Replicates[r][g]); p.Neutral.Lo-1e-9 <= x && x <= p.Neutral.Hi+1e-9 {
					within++
				}
				all++
			}
			if against(p) != "within" {
				outside++
			}
		}
		if last := c.Points[5].Neutral; last.Hi-last.Lo > .6 || last.MeanHi-last.MeanLo > .1 {
			t.Errorf("the band of %s is %+v: too wide to tell anything", line, last)
		}
	}
	if float64(within) < .88*float64(all) || outside > 1 {
		t.Errorf("%d of %d lineages lie within the band, %d of 10 means outside", within, all, outside)
	}
}

func TestFavouredBehaviourLeavesTheBand(t *testing.T) {
	w := newWorld(t, 12, 6)
	w.selection = .8
	w.run()
	f := measure(t, w.ledger, w.study)
	for _, v := range f.Verdicts {
		if v.Arm != "seeded" || v.Behaviour != "awakening" {
			continue
		}
		start := "Spread to where it was never seeded: Awakening in birch"
		if v.Seeded {
			start = "Present where it was seeded: Awakening in alder"
		}
		if v.Against != "above" || !(v.Q < .05) || !strings.HasPrefix(v.Sentence, start) {
			t.Errorf("%s: against %q, q = %g: %s", v.Line, v.Against, v.Q, v.Sentence)
		}
	}
	if !strings.HasPrefix(f.Title, "Awakening spread to birch: +") {
		t.Errorf("title: %s", f.Title)
	}
	if v := f.Verdicts[f.Lead]; v.Arm != "seeded" || v.Line != "birch" || v.Behaviour != "awakening" {
		t.Errorf("the title speaks of %s in %s of %s, and the lead is %+v", "awakening", "birch", "seeded", v)
	}
	trend := curve(t, f, "seeded", "birch", "awakening", lineage.Outputs).Trend
	if trend.From != 0 || trend.To != 5 || !(trend.Reproduction.Lo > 1) || !math.IsInf(trend.HalfLife.Mean, 1) || !(trend.Slope.Lo > 0) {
		t.Errorf("trend: %+v", trend)
	}
	decay := curve(t, f, "seeded", "alder", "trauma", lineage.Outputs).Trend
	if !(decay.Reproduction.Hi < 1) || !(decay.HalfLife.Mean > 0 && decay.HalfLife.Mean < 6) {
		t.Errorf("trend of what is diluted: %+v", decay)
	}
}

func TestTooFewCarriersGiveNoTrend(t *testing.T) {
	l, study := fixture(t)
	// The first text of every early node carries: four carriers over four
	// generations, five over five. Half of six replicates are three.
	for _, c := range []struct{ generations, replicates int }{{4, 6}, {5, 3}, {5, 2}} {
		f := measure(t, doctored{Ledger: l, scores: func(key lineage.Key, s lineage.Scores) lineage.Scores {
			id := lineage.ID(strings.Split(string(key), "/")[1])
			var n lineage.Node
			if _, err := l.Load(lineage.NodeKey(id), &n); err != nil {
				t.Fatal(err)
			}
			for i := range s {
				s[i] = lineage.Score{Outcome: lineage.Absent}
			}
			if n.Generation < c.generations && n.Replicate < c.replicates {
				s[0].Outcome = lineage.Present
			}
			return s
		}}, study)
		trend := curve(t, f, "seeded", "alder", "trauma", lineage.Outputs).Trend
		for name, v := range map[string]Interval{"reproduction": trend.Reproduction, "half-life": trend.HalfLife, "slope": trend.Slope} {
			few := strings.Contains(v.Warn, "have 5 carriers from generation 0 on")
			if want := c.generations < 5 || c.replicates < 3; few != want || few && !(math.IsNaN(v.Mean) && v.N == 0) {
				t.Errorf("%d carriers in each of %d replicates: %s %+v", c.generations, c.replicates, name, v)
			}
		}
		if trend.Lost != 6 || trend.Replicates != 6 {
			t.Errorf("what is lost is lost without a trend as well: %+v", trend)
		}
	}
}

func TestAnExcessOfOneReplicateIsNoReproduction(t *testing.T) {
	var c, base Curve
	for r := range 6 {
		var with, without []lineage.Tally
		for range 4 {
			with = append(with, lineage.Tally{Present: 4, Absent: 96})
			without = append(without, lineage.Tally{Present: 4, Absent: 96})
			if r == 0 {
				without[len(without)-1] = lineage.Tally{Present: 2, Absent: 98}
			}
		}
		c.Replicates, base.Replicates = append(c.Replicates, with), append(base.Replicates, without)
	}
	for g := range 4 {
		c.Points = append(c.Points, Point{Generation: g, Prevalence: Interval{N: 6}})
	}
	c.trend(0, &base)
	for name, v := range map[string]Interval{"reproduction": c.Trend.Reproduction, "half-life": c.Trend.HalfLife} {
		if !math.IsNaN(v.Mean) || v.N != 0 || !strings.Contains(v.Warn, "rests on one replicate") {
			t.Errorf("%s: %+v", name, v)
		}
	}
	if s := c.Trend.Slope; s.Mean != 0 || s.N != 6 {
		t.Errorf("slope: %+v", s)
	}
}

func TestNoDifferenceIsPrintedAsSuch(t *testing.T) {
	w := newWorld(t, 10, 3)
	w.dose = 0
	w.run()
	f := measure(t, w.ledger, w.study)
	for _, v := range f.Verdicts {
		if v.P != 1 || v.Q != 1 || !strings.HasPrefix(v.Sentence, "No evidence of spread: ") {
			t.Errorf("one world against itself: %+v", v)
		}
	}
	if f.Lead != -1 {
		t.Errorf("a title that names no verdict leads with %d", f.Lead)
	}
	if want := "No evidence of spread by generation 2: none of 8 comparisons with the control differs"; f.Title != want {
		t.Errorf("title %q, want %q", f.Title, want)
	}
}

func TestFewReplicatesDrawNoConclusion(t *testing.T) {
	w := newWorld(t, 3, 3)
	w.run()
	f := measure(t, w.ledger, w.study)
	if !strings.HasPrefix(f.Title, "No conclusion: 3 replicates") || !warned(f, "3 replicates") {
		t.Errorf("title %q, warnings %q", f.Title, f.Warnings)
	}
	for _, c := range f.Curves {
		for _, p := range c.Points {
			if !math.IsNaN(p.Prevalence.Lo) || !math.IsNaN(p.Difference.Hi) {
				t.Fatalf("an interval over three replicates: %+v", p)
			}
		}
	}
}

func TestSeedsToTheEndAreAnInflow(t *testing.T) {
	l, study := fixture(t)
	alder := map[lineage.ID]bool{}
	for _, ids := range study.Arms[1].Nodes[0] {
		for _, id := range ids[1:] {
			alder[id] = true
		}
	}
	f := measure(t, doctored{Ledger: l, node: func(n *lineage.Node) {
		if alder[n.ID] {
			n.Supplies[0].Documents -= 6
			n.Supplies = append(n.Supplies, lineage.Supply{Source: "seeds", Behaviour: "trauma", Documents: 6})
		}
	}}, study)
	c := curve(t, f, "seeded", "alder", "trauma", lineage.Outputs)
	if !strings.Contains(c.Note, "takes later seeds for carriers") || !warned(f, "seeded to the end") {
		t.Errorf("note %q, warnings %q", c.Note, f.Warnings)
	}
	// Where a tenth of each corpus is seeds, the inflow holds the expectation up.
	if b := c.Points[7].Neutral; !b.Valid || b.Mean < .15 {
		t.Errorf("band of a line that is seeded to the end: %+v", b)
	}
	for _, v := range f.Verdicts {
		if v.Line == "birch" && v.Seeded {
			t.Errorf("birch was never seeded: %+v", v)
		}
	}
}

func TestEveryArmMeetsItsOwnBaseline(t *testing.T) {
	l, study := fixture(t)
	other := study.Arms[0]
	other.Name, other.Baseline = "control[dose=2]", "control[dose=2]"
	study.Arms = append(slices.Clone(study.Arms), other)
	study.Arms[2].Baseline = other.Name
	a, b := measure(t, l, study), func() *Findings { l, s := fixture(t); return measure(t, l, s) }()
	if x, y := curve(t, a, "quarantined", "birch", "awakening", lineage.Outputs), curve(t, b, "quarantined", "birch", "awakening", lineage.Outputs); x.Points[7].Difference != y.Points[7].Difference {
		t.Errorf("difference %+v, want %+v", x.Points[7].Difference, y.Points[7].Difference)
	}
	if len(a.Verdicts) != 8 {
		t.Errorf("%d verdicts: a second control is no arm", len(a.Verdicts))
	}
}
