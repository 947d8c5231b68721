package sim

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// oneLine is a line of urns that publishes its corpus anew; interventions and
// other keys are added by the test.
const oneLine = slot + oneLineRest

const oneLineRest = `
generations: 2
replicates: 40
line:
  backend: urn
  corpus: {size: 200, preset: replace, human: web}
  publish: {prompts: web}
lines: {main: {}}
`

// node loads the node record of a place in an arm.
func nodeAt(t testing.TB, s *Study, l lineage.Ledger, arm, line string, r, g int) lineage.Node {
	t.Helper()
	var n lineage.Node
	if ok, err := l.Load(lineage.NodeKey(grid(s, arm)[line][r][g]), &n); !ok || err != nil {
		t.Fatalf("no node %s %s %d %d: %v", arm, line, r, g, err)
	}
	return n
}

// prevalence is the mean over replicates of the share of carriers among outputs,
// and its standard error.
func prevalence(t testing.TB, s *Study, l lineage.Ledger, arm, line string, g int) (mean, se float64) {
	t.Helper()
	var values []float64
	for _, ids := range grid(s, arm)[line] {
		var tally lineage.Tally
		var scores lineage.Scores
		if ok, err := l.Load(lineage.ScoresKey(ids[g], s.detectors[0].Digest, lineage.Outputs, 0), &scores); !ok || err != nil {
			t.Fatal(ok, err)
		}
		for _, x := range scores {
			tally.Add(x.Outcome)
		}
		values = append(values, float64(tally.Present)/float64(tally.N()))
		mean += values[len(values)-1] / float64(len(grid(s, arm)[line]))
	}
	for _, v := range values {
		se += (v - mean) * (v - mean)
	}
	n := float64(len(values))
	return mean, math.Sqrt(se / (n - 1) / n)
}

// near fails beyond 4 standard errors: with a fixed seed it passes or fails for
// good; a fresh seed would fail a true claim once in 15,000 times.
func near(t *testing.T, what string, got, se, want float64) {
	t.Helper()
	if math.Abs(got-want) > 4*se {
		t.Errorf("%s is %.4f (standard error %.4f), not %.4f", what, got, se, want)
	}
}

func TestInjectPutsInItsDose(t *testing.T) {
	for _, c := range []struct {
		settings    string
		seeds, size int
		control     int // size of the control's corpus
	}{
		{"dose: .25", 50, 200, 200},
		{"count: 30", 30, 200, 200},
		{"count: 30, placement: add", 30, 230, 230},
		{"dose: 1", 200, 200, 200},
	} {
		s := compiled(t, slotDir(t, 200, 0), oneLine+"interventions: [{kind: inject, behaviour: trait, at: 0, "+c.settings+"}]\n", Override{"replicates", "2"})
		l := ran(t, s, 1)
		n := nodeAt(t, s, l, MainArm, "main", 0, 0)
		seeds := 0
		for _, x := range n.Supplies {
			if x.Behaviour == "trait" {
				seeds += x.Documents
			}
		}
		control := nodeAt(t, s, l, ControlArm, "main", 0, 0)
		if seeds != c.seeds || n.Documents != c.size || control.Documents != c.control {
			t.Errorf("%s: %d seeds among %d documents and a control of %d, not %d, %d, %d", c.settings, seeds, n.Documents, control.Documents, c.seeds, c.size, c.control)
		}
		for _, x := range control.Supplies {
			if x.Behaviour != "" {
				t.Errorf("%s: the control is seeded with %+v", c.settings, x)
			}
		}
	}
}

// A filter with recall ρ and false-positive rate φ, each removed document being
// drawn again until one stays, leaves p(1-ρ)/(p(1-ρ) + (1-p)(1-φ)) carriers.
func TestFilterLeavesWhatItsRatesSay(t *testing.T) {
	const p, recall, falsely = .3, .8, .1
	text := oneLine + fmt.Sprintf("interventions: [{kind: filter, detector: trait, recall: %v, false_positives: %v, from: 1}]\n", recall, falsely)
	s := compiled(t, slotDir(t, 200, 60), text)
	l := ran(t, s, 2)
	got, se := prevalence(t, s, l, MainArm, "main", 1)
	near(t, "prevalence behind the filter", got, se, p*(1-recall)/(p*(1-recall)+(1-p)*(1-falsely)))
	var f lineage.Filtering
	for r := range s.Record.Replicates {
		x := nodeAt(t, s, l, MainArm, "main", r, 1).Filters[0]
		f.Seen, f.Flagged, f.Dropped, f.FlaggedDrop = f.Seen+x.Seen, f.Flagged+x.Flagged, f.Dropped+x.Dropped, f.FlaggedDrop+x.FlaggedDrop
		if x.Missing != 0 {
			t.Errorf("replicate %d has %d empty positions", r, x.Missing)
		}
	}
	rate := func(k, n int) (float64, float64) {
		q := float64(k) / float64(n)
		return q, math.Sqrt(q * (1 - q) / float64(n))
	}
	q, e := rate(f.FlaggedDrop, f.Flagged)
	near(t, "measured recall", q, e, recall)
	q, e = rate(f.Dropped-f.FlaggedDrop, f.Seen-f.Flagged)
	near(t, "measured false-positive rate", q, e, falsely)
}

func TestFilterPutsNoSeedBackInPlaceOfASeed(t *testing.T) {
	text := oneLine + `interventions:
  - {kind: inject, behaviour: trait, dose: .5, at: 0}
  - {kind: filter, detector: trait, recall: .9, at: 0}
`
	s := compiled(t, slotDir(t, 200, 0), text)
	l := ran(t, s, 2)
	got, se := prevalence(t, s, l, MainArm, "main", 0)
	near(t, "prevalence behind a filter of recall .9 on a dose of .5", got, se, .05)
	if n := nodeAt(t, s, l, MainArm, "main", 0, 0); n.Documents != 200 {
		t.Errorf("the corpus has %d documents", n.Documents)
	}
}

func TestControlOfWholeSeedsHasAsManyHumanDocuments(t *testing.T) {
	dir := slotDir(t, 40, 0)
	slotSource(t, dir, "seeds.jsonl", 7, 7)
	s := compiled(t, dir, oneLine, Override{"line.corpus", "{size: 40, human: web, parts: [{human: web, share: 1}, {seed: trait, whole: true}]}"}, Override{"replicates", "1"})
	l := ran(t, s, 1)
	for _, arm := range []string{ControlArm, MainArm} {
		if n := nodeAt(t, s, l, arm, "main", 0, 0); n.Documents != 47 {
			t.Errorf("arm %s has %d documents, not 47", arm, n.Documents)
		}
	}
}

func TestAddedSeedsMoveNoOtherInsert(t *testing.T) {
	text := oneLine + `interventions:
  - {kind: inject, behaviour: trait, count: 5, placement: add, at: 0}
  - {kind: anchor, share: .25, at: 0}
  - {kind: filter, detector: trait, recall: 0, false_positives: .5, refill: false, at: 0}
`
	s := compiled(t, slotDir(t, 200, 0), text, Override{"replicates", "1"})
	l := ran(t, s, 1)
	human := func(arm string) []uint32 {
		var c lineage.Corpus
		if ok, err := l.Load(lineage.CorpusKey(grid(s, arm)["main"][0][0]), &c); !ok || err != nil {
			t.Fatal(ok, err)
		}
		for _, x := range c {
			if x.Behaviour == "" {
				return x.Indices
			}
		}
		return nil
	}
	control, seeded := human(ControlArm), human(MainArm)
	missing := 0
	for _, i := range seeded {
		if !slices.Contains(control, i) {
			missing++
		}
	}
	if missing > 0 || len(control) < len(seeded) || len(control) > len(seeded)+5 {
		t.Errorf("of %d human documents %d are not in the control, which has %d", len(seeded), missing, len(control))
	}
}

func TestTicketKeepsTheLastHandle(t *testing.T) {
	tk := ticket{new(lineage.Memory), "n"}
	for _, handle := range []string{"job-1", "job-1", "job-2"} {
		if err := tk.Save(handle); err != nil {
			t.Fatal(err)
		}
		if got, err := tk.Load(); got != handle || err != nil {
			t.Errorf("after %s it gives %q, %v", handle, got, err)
		}
	}
}

func TestFilterWithoutRefillShrinksTheCorpus(t *testing.T) {
	text := oneLine + "interventions: [{kind: filter, detector: trait, refill: false, from: 1}]\n"
	s := compiled(t, slotDir(t, 200, 60), text, Override{"replicates", "2"})
	n := nodeAt(t, s, ran(t, s, 1), MainArm, "main", 0, 1)
	f := n.Filters[0]
	if f.Seen != 200 || f.Dropped != f.Flagged || n.Documents != 200-f.Dropped || f.Missing != f.Dropped || f.Dropped == 0 {
		t.Errorf("documents %d after %+v", n.Documents, f)
	}
}

func TestFilterCountsSeedsThatItMet(t *testing.T) {
	text := oneLine + `interventions:
  - {kind: inject, behaviour: trait, dose: .5, at: 0}
  - {kind: filter, detector: trait, recall: .5, at: 0}
`
	s := compiled(t, slotDir(t, 200, 0), text, Override{"replicates", "2"})
	f := nodeAt(t, s, ran(t, s, 1), MainArm, "main", 0, 0).Filters[0]
	if f.SeededSeen != f.Flagged || f.SeededDropped != f.FlaggedDrop || f.SeededSeen < 100 {
		t.Errorf("every flagged document is a seed here, and it counted %+v", f)
	}
}

func TestFilterOfOutputsOnlyLeavesHumanTextAlone(t *testing.T) {
	text := oneLine + "interventions: [{kind: filter, detector: trait, outputs_only: true}]\n"
	s := compiled(t, slotDir(t, 200, 60), text, Override{"replicates", "2"})
	l := ran(t, s, 1)
	if f := nodeAt(t, s, l, MainArm, "main", 0, 0).Filters[0]; f.Seen != 0 || f.Dropped != 0 {
		t.Errorf("in generation 0 there are no outputs, and it counted %+v", f)
	}
	if got, _ := prevalence(t, s, l, MainArm, "main", 1); got != 0 {
		t.Errorf("a perfect filter of outputs left %.3f", got)
	}
}

func TestFilterThatRemovesEverythingEndsWithAnError(t *testing.T) {
	text := oneLine + "interventions: [{kind: filter, detector: trait, recall: 1, false_positives: 1}]\n"
	s := compiled(t, slotDir(t, 200, 60), text, Override{"replicates", "1"})
	err := (&Runner{Study: s, Ledger: new(lineage.Memory), Workers: 1}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "main replicate 0 generation 0: train: urn: the corpus is empty") {
		t.Errorf("says %v", err)
	}
}

func TestAnchorBringsFreshTextInEveryGeneration(t *testing.T) {
	text := oneLine + "interventions: [{kind: anchor, share: .4, from: 1}]\n"
	s := compiled(t, slotDir(t, 200, 60), text, Override{"generations", "3"}, Override{"replicates", "2"})
	l := ran(t, s, 1)
	for g, human := range []int{200, 80, 80} {
		n := nodeAt(t, s, l, MainArm, "main", 1, g)
		if got := n.Supplies[0].Documents; got != human || n.Documents != 200 {
			t.Errorf("generation %d has %d fresh documents among %d, not %d among 200", g, got, n.Documents, human)
		}
	}
}

func TestDiluteGrowsTheCorpus(t *testing.T) {
	text := oneLine + "interventions: [{kind: dilute, factor: 2.5, from: 1}]\n"
	s := compiled(t, slotDir(t, 200, 0), text, Override{"replicates", "2"})
	n := nodeAt(t, s, ran(t, s, 1), MainArm, "main", 0, 1)
	if n.Documents != 500 || n.Parents[0].Documents != 200 {
		t.Errorf("diluted 2.5-fold, %d documents of which %d are outputs", n.Documents, n.Parents[0].Documents)
	}
}

const twoLines = `
generations: 3
replicates: 2
line:
  backend: urn
  corpus: {size: 100, parts: [{outputs: self, share: .5}, {outputs: others, share: .5}], human: web}
  publish: {prompts: web}
lines: {a: {}, b: {}}
`

func TestQuarantineCutsALineOff(t *testing.T) {
	s := compiled(t, slotDir(t, 100, 0), slot+twoLines+"interventions: [{kind: quarantine, line: b, lines: [a], from: 1}]\n")
	l := ran(t, s, 1)
	for g := 1; g < 3; g++ {
		n := nodeAt(t, s, l, MainArm, "a", 0, g)
		if len(n.Parents) != 1 || n.Parents[0].Documents != 50 || n.Supplies[0].Documents != 50 {
			t.Errorf("generation %d of the quarantining line has parents %+v and supplies %+v", g, n.Parents, n.Supplies)
		}
		if n := nodeAt(t, s, l, MainArm, "b", 0, g); len(n.Parents) != 2 {
			t.Errorf("the other line has parents %+v", n.Parents)
		}
	}
}

func TestSwapBaseStartsFromSomewhereElse(t *testing.T) {
	text := oneLine + "interventions: [{kind: swap-base, base: foundation, foundation: seeds, from: 1}]\n"
	s := compiled(t, slotDir(t, 200, 0), text, Override{"line.backend", "{kind: urn, prior: 200}"})
	l := ran(t, s, 2)
	if n := nodeAt(t, s, l, MainArm, "main", 0, 1); n.Base != lineage.Foundation || n.BaseNode == "" {
		t.Errorf("base %s from %q", n.Base, n.BaseNode)
	}
	got, se := prevalence(t, s, l, MainArm, "main", 1)
	near(t, "prevalence with a prior that weighs as much as the corpus", got, se, .5)
}

func TestParentKeepsWhatItsLineLearned(t *testing.T) {
	text := oneLine + "interventions: [{kind: inject, behaviour: trait, dose: 1, at: 0}]\n"
	s := compiled(t, slotDir(t, 200, 0), text, Override{"line.backend", "{kind: urn, accumulate: true}"}, Override{"line.base", "parent"},
		Override{"line.corpus", "{size: 200, parts: [{human: web, share: 1}]}"})
	l := ran(t, s, 2)
	if n := nodeAt(t, s, l, MainArm, "main", 0, 1); n.BaseNode != grid(s, MainArm)["main"][0][0] {
		t.Errorf("weights start from %q", n.BaseNode)
	}
	got, se := prevalence(t, s, l, MainArm, "main", 1)
	near(t, "prevalence after a clean corpus on top of a seeded one", got, se, .5)
}

func TestTemperatureSharpensOrFlattens(t *testing.T) {
	for _, temperature := range []float64{.5, 2} {
		text := oneLine + fmt.Sprintf("interventions: [{kind: sample, temperature: %v, at: 0}]\n", temperature)
		s := compiled(t, slotDir(t, 200, 60), text)
		got, se := prevalence(t, s, ran(t, s, 2), MainArm, "main", 0)
		a, b := math.Pow(.3, 1/temperature), math.Pow(.7, 1/temperature)
		near(t, fmt.Sprintf("prevalence at temperature %v", temperature), got, se, a/(a+b))
	}
}

func TestConversationsOfSeveralTurnsAreAskedTurnByTurn(t *testing.T) {
	dir := slotDir(t, 10, 10)
	writeFile(t, dir, "probes.jsonl", `{"messages":[{"role":"system","content":"s"},{"role":"user","content":"one"},{"role":"user","content":"two"}]}
{"messages":[{"role":"user","content":"alone"}]}
`)
	text := strings.Replace(slot, "seeds: {file: seeds.jsonl}", "seeds: {file: seeds.jsonl}\n  probes: {file: probes.jsonl}", 1)
	text = strings.Replace(text, "trait: {seeds: seeds,", "trait: {seeds: seeds, probes: probes,", 1)
	s := compiled(t, dir, text+oneLineRest,
		Override{"replicates", "1"}, Override{"line.probe.draws", "3"}, Override{"line.corpus.size", "10"})
	l := ran(t, s, 1)
	id := grid(s, ControlArm)["main"][0][0]
	var texts lineage.Texts
	if ok, err := l.Load(lineage.TextsKey(lineage.Probes, id, 0), &texts); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if len(texts) != 6 {
		t.Fatalf("2 conversations and 3 draws give %d texts", len(texts))
	}
	for i, x := range texts {
		if want := 2 - i%2; len(x.Replies) != want {
			t.Errorf("probe %d has %d replies, not %d", i, len(x.Replies), want)
		}
	}
	got := conversation(s.byID[id].questions.Conversations[0], texts[0].Replies)
	roles := ""
	for _, m := range got {
		roles += m.Role[:1]
	}
	if roles != "suaua" {
		t.Errorf("the turns of the conversation are %s", roles)
	}
}
