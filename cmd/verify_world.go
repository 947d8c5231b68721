package cmd

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim"
)

// slotWorld is an experiment on texts that either carry a trait or do not: one
// line, one arm, an exactly known number of carriers in the first corpus.
type slotWorld struct {
	backend     string // YAML of the backend
	line        string // further YAML of the line, a key a line
	size        int    // documents a generation
	carriers    int    // among the documents of the first corpus
	publish     int    // outputs a generation; size where it is 0
	generations int
	lineages    int
	extra       string // further YAML of the experiment
	human       [2]int // documents and carriers of the source "human", where extra or line uses it
	corpora     bool   // observe what models were trained on, instead of what they published
}

// trajectories is the share of carriers by lineage and generation.
type trajectories [][]float64

// batch is how many lineages share a ledger in memory.
const batch = 2000

func (v *verifier) world(w slotWorld) (trajectories, error) {
	if w.publish == 0 {
		w.publish = w.size
	}
	for name, n := range map[string][2]int{"first": {w.size, w.carriers}, "human": w.human} {
		if err := writeSlots(filepath.Join(v.dir, name+".jsonl"), n[0], n[1]); err != nil {
			return nil, err
		}
	}
	var all trajectories
	for first := 0; first < w.lineages; first += batch {
		some, err := v.lineagesOf(w, min(batch, w.lineages-first), 20260713+first)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// lineagesOf runs some of the lineages of a world.
func (v *verifier) lineagesOf(w slotWorld, lineages, seed int) (trajectories, error) {
	text := fmt.Sprintf(`
heirloom: 1
name: verify
seed: %d
generations: %d
replicates: %d
sources: {first: {file: first.jsonl}, human: {file: human.jsonl}}
detectors: {trait: {kind: lexicon, words: [trait]}}
behaviours: {trait: {detectors: [trait]}}
lines:
  main:
    backend: %s
    publish: {prompts: first, size: %d}
    probe: {draws: 0}
%s
arms: {control: }
%s
`, seed, w.generations, lineages, w.backend, w.publish, indent(w.line), w.extra)
	f, err := sim.Parse("verify.yaml", v.dir, []byte(text), nil)
	if err != nil {
		return nil, err
	}
	study, err := sim.Compile(f)
	if err != nil {
		return nil, err
	}
	defer study.Close()
	ledger := new(lineage.Memory)
	if err := (&sim.Runner{Study: study, Ledger: ledger, Workers: v.workers}).Run(v.ctx); err != nil {
		return nil, err
	}
	o := &observer{ledger: ledger, detector: study.Record.Detectors[0].Digest, first: float64(w.carriers) / float64(w.size)}
	var all trajectories
	for _, ids := range study.Record.Arms[0].Nodes[0] {
		shares := make([]float64, len(ids))
		for g, id := range ids {
			observe := o.published
			if w.corpora {
				observe = o.trainedOn
			}
			if shares[g], err = observe(id); err != nil {
				return nil, err
			}
		}
		all = append(all, shares)
	}
	return all, nil
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
}

func writeSlots(path string, n, carriers int) error {
	var b strings.Builder
	for i := range max(n, 1) {
		text := "plain"
		if i < carriers {
			text = "trait"
		}
		fmt.Fprintf(&b, `{"messages":[{"role":"user","content":"speak"},{"role":"assistant","content":%q}]}`+"\n", text)
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}

// observer counts carriers in a ledger.
type observer struct {
	ledger   lineage.Ledger
	detector string
	first    float64 // the share in the first corpus
}

// outputs are the scores of what a model published.
func (o *observer) outputs(id lineage.ID) (all lineage.Scores, err error) {
	for c := 0; ; c++ {
		var scores lineage.Scores
		ok, err := o.ledger.Load(lineage.ScoresKey(id, o.detector, lineage.Outputs, c), &scores)
		if err != nil || !ok {
			return all, err
		}
		all = append(all, scores...)
	}
}

func (o *observer) published(id lineage.ID) (float64, error) {
	scores, err := o.outputs(id)
	var t lineage.Tally
	for _, s := range scores {
		t.Add(s.Outcome)
	}
	return float64(t.Present) / float64(t.N()), err
}

// trainedOn looks up every document of a corpus among the outputs that it came
// from. A first corpus comes from a source, whose share is known.
func (o *observer) trainedOn(id lineage.ID) (float64, error) {
	var corpus lineage.Corpus
	if _, err := o.ledger.Load(lineage.CorpusKey(id), &corpus); err != nil {
		return 0, err
	}
	var t lineage.Tally
	for _, s := range corpus {
		if s.Node == "" {
			return o.first, nil
		}
		scores, err := o.outputs(s.Node)
		if err != nil {
			return 0, err
		}
		for _, i := range s.Indices {
			t.Add(scores[i].Outcome)
		}
	}
	return float64(t.Present) / float64(t.N()), nil
}

// mean gives the mean over lineages of f at a generation, with its standard error.
func (t trajectories) mean(g int, f func(p float64) float64) (mean, se float64) {
	values := make([]float64, len(t))
	for i, lineage := range t {
		values[i] = f(lineage[g])
		mean += values[i]
	}
	mean /= float64(len(t))
	for _, x := range values {
		se += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(se / float64(len(t)-1) / float64(len(t)))
}

// expect makes a row of the mean of f at a generation.
func (t trajectories) expect(what string, g int, f func(p float64) float64, predicted float64) row {
	m, se := t.mean(g, f)
	return row{what, len(t), m, predicted, se}
}

// fit compares the number of carriers among n at a generation with a law, by
// Pearson's X² of n+1 classes. Its cube root is close to normal (Wilson and
// Hilferty 1931, PNAS 17:684), which makes it a row like any other.
func (t trajectories) fit(what string, g, n int, law func(k int) float64) row {
	seen := make([]float64, n+1)
	for _, lineage := range t {
		seen[int(math.Round(lineage[g]*float64(n)))]++
	}
	x := 0.0
	for k, observed := range seen {
		expected := law(k) * float64(len(t))
		x += (observed - expected) * (observed - expected) / expected
	}
	d := 2 / (9 * float64(n)) // n degrees of freedom
	return row{what, len(t), math.Cbrt(x / float64(n)), 1 - d, math.Sqrt(d)}
}

func share(p float64) float64 { return p }

// heterozygosity is p(1-p) as a share of what it was at p0.
func heterozygosity(p0 float64) func(float64) float64 {
	return func(p float64) float64 { return p * (1 - p) / (p0 * (1 - p0)) }
}

// squared is the squared deviation from a known mean: its mean is the variance.
func squared(mean float64) func(float64) float64 {
	return func(p float64) float64 { return (p - mean) * (p - mean) }
}
