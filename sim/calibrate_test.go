package sim

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
)

func calibrations(t testing.TB, l lineage.Ledger, behaviour, digest string) (all []lineage.Calibration) {
	t.Helper()
	for key, err := range l.Keys(lineage.CalibrationKey(behaviour, digest, "")) {
		var c lineage.Calibration
		if err == nil {
			_, err = l.Load(key, &c)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

const slotLines = `
generations: 2
replicates: 3
lines:
  main:
    backend: urn
    corpus: {size: 20, preset: replace, human: web}
    publish: {prompts: web}
`

func TestLabelsAddedLaterRemakeNothing(t *testing.T) {
	dir := slotDir(t, 20, 10)
	writeFile(t, dir, "labels.jsonl", `{"text":"TRAIT","label":true}`+"\n"+`{"text":"plain","label":true,"context":"far"}`+"\n"+`{"text":"plain","label":false}`+"\n")
	before := compiled(t, dir, slot+slotLines)
	l := ran(t, before, 2)
	nodes, scores := print(t, l, "node/"), print(t, l, "scores/")
	after := compiled(t, dir, slot+slotLines, Override{"behaviours.trait.labels", "labels.jsonl"})
	if fmt.Sprint(after.Record.Arms) != fmt.Sprint(before.Record.Arms) {
		t.Fatal("labels changed what a node is")
	}
	var last Event
	if err := (&Runner{Study: after, Ledger: l, Report: func(e Event) { last = e }}).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if last.Reused != last.Total || print(t, l, "node/") != nodes || print(t, l, "scores/") != scores {
		t.Errorf("something was made anew: %+v", last)
	}
	all := calibrations(t, l, "trait", after.detectors[0].Digest)
	if len(all) != 1 || len(all[0].Contexts) != 2 {
		t.Fatalf("%+v", all)
	}
	if b := after.Record.Behaviours[0]; b.Labels != all[0].Labels || before.Record.Behaviours[0].Labels != "" {
		t.Errorf("the study names the labels %q, measured is on %q", b.Labels, all[0].Labels)
	}
	if c := all[0].Contexts[0]; c.Context != "" || c.TruePositives != 1 || c.TrueNegatives != 1 || c.AUC == nil || *c.AUC != 1 || c.AUCLo != nil {
		t.Errorf("rows without a context: %+v", c)
	}
	if c := all[0].Contexts[1]; c.Context != "far" || c.FalseNegatives != 1 || c.AUC != nil {
		t.Errorf("far rows: %+v", c)
	}
}

func print(t testing.TB, l lineage.Ledger, prefix lineage.Key) string {
	t.Helper()
	f, err := lineage.Fingerprint(l, prefix)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// tallying wraps a detector and counts what it is asked.
type tallying struct {
	detectors.Detector
	asked atomic.Int64
}

func (c *tallying) Detect(ctx context.Context, us []detectors.Utterance) ([]detectors.Result, error) {
	c.asked.Add(int64(len(us)))
	return c.Detector.Detect(ctx, us)
}

func TestADetectorIsCalibratedOnce(t *testing.T) {
	dir := slotDir(t, 20, 10)
	writeFile(t, dir, "labels.jsonl", `{"text":"TRAIT","label":true}`+"\n"+`{"text":"plain","label":false}`+"\n")
	s := compiled(t, dir, slot+slotLines, Override{"behaviours.trait.labels", "labels.jsonl"})
	l := ran(t, s, 1)
	c := &tallying{Detector: s.detectors[0].Detector}
	s.detectors[0].Detector = c
	if err := (&Runner{Study: s, Ledger: l}).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := c.asked.Load(); n != 0 {
		t.Errorf("a second run asks about %d texts", n)
	}
}

func TestLabelsThatTheDetectorLearnedFromAreCrossValidated(t *testing.T) {
	dir := slotDir(t, 20, 10)
	var rows strings.Builder
	for i := range 40 { // no word tells the labels apart
		fmt.Fprintf(&rows, `{"text":"row%d says the same","label":%v}`+"\n", i, i%2 == 0)
	}
	writeFile(t, dir, "labels.jsonl", rows.String())
	s := compiled(t, dir, slot+slotLines, Override{"behaviours.trait.labels", "labels.jsonl"},
		Override{"detectors.learned", "{kind: classifier, labels: [labels.jsonl]}"}, Override{"behaviours.trait.detectors", "[learned]"})
	l := ran(t, s, 1)
	c := calibrations(t, l, "trait", s.detectors[0].Digest)[0]
	q := s.detectors[0].Detector.(detectors.Qualified).Quality()
	if !strings.Contains(c.Method, "40 that the detector learned from are judged by cross-validation") {
		t.Errorf("method: %s", c.Method)
	}
	if *c.Contexts[0].AUC != q.AUC || q.AUC > .8 {
		t.Errorf("AUC %v, cross-validated %v", *c.Contexts[0].AUC, q.AUC)
	}
}

// both is present where each of two other detectors is.
type both struct {
	Of []string `yaml:"of"`
}

type bothOpen []detectors.Detector

func init() {
	detectors.Register("test-both", "for tests", both{}, func(env detectors.Env, c both) (detectors.Detector, error) {
		var open bothOpen
		for _, name := range c.Of {
			d, _, err := env.Detector(name)
			if err != nil {
				return nil, err
			}
			open = append(open, d)
		}
		return open, nil
	})
	detectors.Register("test-judge", "for tests", judge{}, func(_ detectors.Env, c judge) (detectors.Detector, error) { return c, nil })
}

func (b bothOpen) Detect(ctx context.Context, us []detectors.Utterance) ([]detectors.Result, error) {
	return b[0].Detect(ctx, us)
}

// judge has the settings of a detector with a server, and asks thrice a text.
type judge struct {
	detectors.Server `yaml:",inline"`
}

func (judge) Detect(_ context.Context, us []detectors.Utterance) ([]detectors.Result, error) {
	rs := make([]detectors.Result, len(us))
	for i := range rs {
		rs[i] = detectors.Judged(.9, .5, nil, "")
	}
	return rs, nil
}

func (judge) Requests(us []detectors.Utterance) int { return 3 * len(us) }

func TestRowsThatAPartLearnedFromAreLeftOut(t *testing.T) {
	dir := slotDir(t, 20, 10)
	var learned, labels strings.Builder
	for i := range 40 {
		fmt.Fprintf(&learned, `{"text":"row%d says %v","label":%v}`+"\n", i, i%2 == 0, i%2 == 0)
	}
	labels.WriteString(learned.String()[:strings.Index(learned.String(), `{"text":"row10 `)]) // ten that it knows
	labels.WriteString(`{"text":"fresh true","label":true}` + "\n" + `{"text":"fresh false","label":false}` + "\n")
	writeFile(t, dir, "learned.jsonl", learned.String())
	writeFile(t, dir, "labels.jsonl", labels.String())
	add := []Override{{"behaviours.trait.labels", "labels.jsonl"}, {"detectors.learned", "{kind: classifier, labels: [learned.jsonl]}"},
		{"detectors.twice", "{kind: test-both, of: [learned]}"}, {"behaviours.trait.detectors", "[twice]"}}
	s := compiled(t, dir, slot+slotLines, add...)
	c := calibrations(t, ran(t, s, 1), "trait", s.detectors[0].Digest)[0]
	got := c.Contexts[0]
	if n := got.TruePositives + got.FalseNegatives + got.FalsePositives + got.TrueNegatives; n != 2 || !strings.Contains(c.Method, "10 that a part of it learned from are left out") {
		t.Errorf("%d rows, %s", n, c.Method)
	}
	writeFile(t, dir, "labels.jsonl", learned.String())
	s = compiled(t, dir, slot+slotLines, add...)
	err := (&Runner{Study: s, Ledger: new(lineage.Memory)}).Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "learned from every row") {
		t.Errorf("%v", err)
	}
}

func TestWhatNeedsAServerIsKnownAndPriced(t *testing.T) {
	dir := slotDir(t, 20, 10)
	writeFile(t, dir, "one.jsonl", `{"messages":[{"role":"user","content":"speak"}]}`+"\n")
	s := compiled(t, dir, slot+slotLines, Override{"sources.one.file", "one.jsonl"}, Override{"lines.main.publish", "{prompts: one, size: 20}"})
	l := ran(t, s, 1)
	judge, err := OpenDetector("test-judge", dir, nil, Means{})
	if err != nil {
		t.Fatal(err)
	}
	if !judge.Server || s.detectors[0].Server {
		t.Errorf("server: %v, and %v of a lexicon", judge.Server, s.detectors[0].Server)
	}
	with, err := WithDetector(s.Record, "trait", judge)
	if err != nil {
		t.Fatal(err)
	}
	job := &Scoring{Ledger: l, Study: with, Detector: judge}
	w, err := job.Work()
	if err != nil {
		t.Fatal(err)
	}
	// Urns say one of two things to one prompt, so a model has at most two answers.
	if w.Models != 6 || w.Texts != 120 || w.Ask > 12 || w.Ask < 6 || w.Requests != 3*w.Ask {
		t.Errorf("%+v", w)
	}
	if err := job.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if w, err = job.Work(); err != nil || w.Texts != 0 || w.Requests != 0 || w.Scored != 120 {
		t.Errorf("afterwards: %+v, %v", w, err)
	}
}

// What score gives is what a run with the detector from the start gives.
func TestScoringLaterIsScoringAtOnce(t *testing.T) {
	dir := slotDir(t, 20, 10)
	more := []Override{{"detectors.plain", "{kind: lexicon, words: [plain]}"}, {"behaviours.trait.detectors", "[trait, plain]"}}
	whole := compiled(t, dir, slot+slotLines, more...)
	want := ran(t, whole, 1)
	s := compiled(t, dir, slot+slotLines)
	l := ran(t, s, 1)
	with, err := WithDetector(s.Record, "trait", whole.detectors[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := (&Scoring{Ledger: l, Study: with, Detector: whole.detectors[1], Workers: 3}).Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []lineage.Key{"node/", "scores/", "outputs/"} {
		if print(t, l, prefix) != print(t, want, prefix) {
			t.Errorf("the records %s differ", prefix)
		}
	}
	again := compiled(t, dir, with.Experiment) // the study's own text says what it is
	if fmt.Sprint(again.Record.Detectors) != fmt.Sprint(with.Detectors) || fmt.Sprint(again.Record.Behaviours) != fmt.Sprint(with.Behaviours) {
		t.Errorf("%+v, and the text makes %+v", with.Detectors, again.Record.Detectors)
	}
	if same, err := WithDetector(with, "trait", whole.detectors[1]); err != nil || same.Digest != with.Digest {
		t.Errorf("added twice, the study changes: %v", err)
	}
}

// Every text has the same chance: over 2,000 seeds each of 60 texts is drawn 2,000·12/60
// = 400 times. The sum of squares over its expectation is about χ² with 59 degrees
// (less, since draws are without replacement); above 110 it is with a chance below 1e-4.
func TestEveryTextHasTheSameChanceToBeLabelled(t *testing.T) {
	dir := slotDir(t, 20, 10)
	s := compiled(t, dir, slot+slotLines)
	l := ran(t, s, 1)
	count := map[string]int{}
	const seeds = 2000
	for seed := range uint64(seeds) {
		d := Drawing{Behaviour: "trait", Part: lineage.Outputs, PerGeneration: 12, Arms: []string{"control"}, Seed: seed}
		rows, absent, err := d.Draw(l, s.Record)
		if err != nil || absent != 0 || len(rows) != 24 {
			t.Fatal(len(rows), absent, err)
		}
		for _, r := range rows {
			count[fmt.Sprint(r.Node, r.Index)]++
			if r.Line != "" || r.Generation != nil || r.Score != nil || r.Arms != nil {
				t.Fatalf("tells %+v", r)
			}
		}
	}
	if len(count) != 120 {
		t.Fatalf("%d of 120 texts were ever drawn", len(count))
	}
	x := 0.0
	for _, n := range count {
		x += math.Pow(float64(n)-400, 2) / 400
	}
	if x/2 > 110 { // two generations
		t.Errorf("χ² %v on 59 degrees for each of two generations", x/2)
	}
}

func TestDrawnProbesAreTheBehavioursOwn(t *testing.T) {
	dir := slotDir(t, 20, 10)
	writeFile(t, dir, "p1.jsonl", `{"messages":[{"role":"user","content":"one"}]}`+"\n"+`{"messages":[{"role":"user","content":"two"}]}`+"\n")
	writeFile(t, dir, "p2.jsonl", `{"messages":[{"role":"user","content":"three"}]}`+"\n")
	s := compiled(t, dir, slot+slotLines, Override{"sources.p1.file", "p1.jsonl"}, Override{"sources.p2.file", "p2.jsonl"},
		Override{"behaviours.trait.probes", "p1"}, Override{"behaviours.also", "{probes: p2, detectors: [trait]}"})
	l := ran(t, s, 1)
	rows, _, err := Drawing{Behaviour: "trait", Part: lineage.Probes, PerGeneration: 1000, Open: true}.Draw(l, s.Record)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if q := r.Messages[0].Content; q != "one" && q != "two" {
			t.Fatalf("drew an answer to %q", q)
		}
	}
	if len(rows) != 6*4*2 { // models, draws, questions
		t.Errorf("%d rows of %d", len(rows), 6*4*2)
	}
	if _, err := OpenKit(filepath.Join(dir, "none")); err == nil {
		t.Error("a behaviour that is nowhere opens")
	}
}
