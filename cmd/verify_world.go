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
}

// trajectories is the share of carriers among the outputs, by lineage and generation.
type trajectories [][]float64

func (v *verifier) world(w slotWorld) (trajectories, error) {
	if w.publish == 0 {
		w.publish = w.size
	}
	for name, n := range map[string][2]int{"first": {w.size, w.carriers}, "human": w.human} {
		if err := writeSlots(filepath.Join(v.dir, name+".jsonl"), n[0], n[1]); err != nil {
			return nil, err
		}
	}
	text := fmt.Sprintf(`
heirloom: 1
name: verify
seed: 20260713
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
`, w.generations, w.lineages, w.backend, w.publish, indent(w.line), w.extra)
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
	return carried(ledger, study.Record)
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

func carried(l lineage.Ledger, study lineage.Study) (trajectories, error) {
	var all trajectories
	for _, ids := range study.Arms[0].Nodes[0] {
		shares := make([]float64, len(ids))
		for g, id := range ids {
			var tally lineage.Tally
			for c, more := 0, true; more; c++ {
				var scores lineage.Scores
				var err error
				key := lineage.ScoresKey(id, study.Detectors[0].Digest, lineage.Outputs, c)
				if more, err = l.Load(key, &scores); err != nil {
					return nil, err
				}
				for _, s := range scores {
					tally.Add(s.Outcome)
				}
			}
			shares[g] = float64(tally.Present) / float64(tally.N())
		}
		all = append(all, shares)
	}
	return all, nil
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

func share(p float64) float64 { return p }

// heterozygosity is p(1-p) as a share of what it was at p0.
func heterozygosity(p0 float64) func(float64) float64 {
	return func(p float64) float64 { return p * (1 - p) / (p0 * (1 - p0)) }
}

// squared is the squared deviation from a known mean: its mean is the variance.
func squared(mean float64) func(float64) float64 {
	return func(p float64) float64 { return (p - mean) * (p - mean) }
}
