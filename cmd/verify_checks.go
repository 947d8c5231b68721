package cmd

import (
	"fmt"
	"math"

	"github.com/heirloom-sim/heirloom/lineage/popgen"
)

// All observations are of published outputs: model g is sampled N times, so its
// outputs are one binomial draw further than its corpus. Where a first corpus
// has exactly p0 carriers, outputs of generation g have gone through g+1 draws,
// which is what the published forms count.
var checks = []check{
	{"drift", "replace: H(t)/H0 = (1-1/N)^t; Seddik et al. 2024, Kimura", drift},
	{"accumulate", "Gerstgrasser 2024, Kazdan 2024, Dey & Donoho 2024", accumulate},
	{"anchor", "migration and drift; MAD fresh-data loop, Alemohammad 2023", anchor},
	{"prior", "iterated learning ends at the prior; Griffiths & Kalish 2007, Reali & Griffiths 2010", prior},
	{"curation", "best-of-K Bradley-Terry, Ferbach et al. 2024", curation},
	{"fixation", "exact Wright-Fisher chain", fixation},
	{"ngram-drift", "drift and accumulation with the trait in the first word of an n-gram model", ngramDrift},
}

func drift(v *verifier) ([]row, error) {
	const n, k = 100, 30
	t, err := v.world(slotWorld{backend: "urn", line: "corpus: {size: 100, preset: replace, human: first}",
		size: n, carriers: k, generations: 100, lineages: v.lineages(150, 2000, 2000)})
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, g := range []int{10, 50, 100} {
		rows = append(rows, t.expect(fmt.Sprintf("H(%d)/H0", g), g-1, heterozygosity(.3), popgen.Heterozygosity(n, g)))
	}
	return append(rows, t.expect("mean p(100)", 99, share, .3)), nil
}

func accumulate(v *verifier) ([]row, error) {
	generations := v.lineages(20, 50, 100)
	var rows []row
	for _, n := range []int{4, 10, 25} {
		for _, mode := range []struct {
			preset string
			law    func(n, t int) float64
		}{
			{"accumulate", popgen.Accumulating},
			{"accumulate-subsample", popgen.AccumulatingSample},
			{"replace", popgen.Heterozygosity},
		} {
			predicted := mode.law(n, generations)
			if predicted < .01 { // hardly any lineage is left to estimate a standard error from
				continue
			}
			t, err := v.world(slotWorld{backend: "urn", size: n, carriers: n / 2, generations: generations,
				line:     fmt.Sprintf("corpus: {size: %d, preset: %s, human: first}", n, mode.preset),
				lineages: v.lineages(150, 1000, 5000)})
			if err != nil {
				return nil, err
			}
			what := fmt.Sprintf("%s, N=%d: H(%d)/H0", mode.preset, n, generations)
			rows = append(rows, t.expect(what, generations-1, heterozygosity(.5), predicted))
		}
	}
	return rows, nil
}

// anchor: with a fixed quota of mN fresh documents the within-generation
// variance is [m q(1-q) + (1-m) p(1-p)]/N, so the stationary variance is
// q(1-q)/(N - N(1-m)² + (1-m)). The published form N - (N-1)(1-m)² draws the
// number of fresh documents too; the two differ by less than 0.5 %.
func anchor(v *verifier) ([]row, error) {
	const n, q = 100, .1
	shares := []float64{.05, .2}
	if v.size == "full" {
		shares = []float64{.01, .05, .2}
	}
	var rows []row
	for _, m := range shares {
		generations := int(5/m) + 1
		t, err := v.world(slotWorld{backend: "urn", size: n, carriers: 10, generations: generations,
			line:     fmt.Sprintf("corpus: {size: %d, parts: [{human: human, share: %v}, {outputs: self, share: %v}], human: first}", n, m, 1-m),
			human:    [2]int{100_000, 10_000},
			lineages: v.lineages(150, 2000, 2000)})
		if err != nil {
			return nil, err
		}
		h := q * (1 - q)
		within := h / (n - n*(1-m)*(1-m) + (1 - m))
		_, published := popgen.AnchoredStationary(n, q, m)
		outputs := within + (h-within)/n
		rows = append(rows,
			t.expect(fmt.Sprintf("m=%v: mean p", m), generations-1, share, q),
			t.expect(fmt.Sprintf("m=%v: variance of outputs (of corpora: %.5f; published %.5f)", m, within, published), generations-1, squared(q), outputs))
	}
	return rows, nil
}

// prior: N=20 documents and a prior of .5 and 1.5 pseudo-documents.
func prior(v *verifier) ([]row, error) {
	const n, mean, weight = 20, .25, 2.0
	generations := 60
	var rows []row
	for _, learner := range []struct {
		estimate string
		variance float64 // of the model's p
	}{
		{"sample", .0625},  // the prior's own: Beta(.5, 1.5)
		{"mean", .0360577}, // w²π(1-π)/(N-w²(N-1)), w=N/(N+2)
	} {
		t, err := v.world(slotWorld{
			backend: fmt.Sprintf("{kind: urn, estimate: %s, prior: %v}", learner.estimate, weight),
			line:    "base: foundation\nfoundation: human\ncorpus: {size: 20, preset: replace, human: first}",
			size:    n, carriers: n, human: [2]int{4, 1}, generations: generations,
			lineages: v.lineages(200, 2000, 5000)})
		if err != nil {
			return nil, err
		}
		for _, g := range []int{0, 4, 9} {
			keep := 1.0
			for range g + 1 {
				keep *= n / (n + weight)
			}
			rows = append(rows, t.expect(fmt.Sprintf("%s: mean p of generation %d", learner.estimate, g), g, share, mean+(1-mean)*keep))
		}
		outputs := learner.variance + (mean*(1-mean)-learner.variance)/n
		rows = append(rows,
			t.expect(learner.estimate+": stationary mean", generations-1, share, mean),
			t.expect(learner.estimate+": stationary variance of outputs", generations-1, squared(mean), outputs))
		if learner.estimate == "sample" {
			rows = append(rows, t.fit("sample: distribution of outputs, (X²/20)^(1/3)", generations-1, n, func(k int) float64 {
				return popgen.BetaBinomial(n, k, weight*mean, weight*(1-mean))
			}))
		}
	}
	return rows, nil
}

// curation: a text with one hit has the lexicon score 1/2, so a strength of 2r
// is a reward gap of r between a carrier and another text.
func curation(v *verifier) ([]row, error) {
	const n, k, p0 = 100, 10, .1
	var rows []row
	for _, c := range []struct {
		best     int
		strength float64
	}{{2, 1}, {4, 1}, {8, .5}} {
		t, err := v.world(slotWorld{backend: "urn", size: n, carriers: k, publish: n * c.best, generations: 2,
			line:     fmt.Sprintf("corpus: {size: %d, preset: replace, human: first}", n),
			extra:    fmt.Sprintf("interventions: [{kind: curate, detector: trait, best_of: %d, strength: %v, from: 1}]", c.best, 2*c.strength),
			lineages: v.lineages(200, 1000, 5000)})
		if err != nil {
			return nil, err
		}
		rows = append(rows, t.expect(fmt.Sprintf("K=%d, r=%v: mean p after one choice", c.best, c.strength), 1, share, popgen.BestOf(c.best, p0, c.strength)))
	}
	return rows, nil
}

// fixation curates with best of two: one step is p' = p + p(1-p) tanh(r/2), and
// a corpus is a binomial draw of it, since no output is a candidate twice. The
// exact chain gives the share of lineages that are fixed by a generation, and the
// probability of fixation in the end; the latter, as a function of the carriers,
// has the same mean in every generation, so no lineage need be followed to its end.
func fixation(v *verifier) ([]row, error) {
	const generations = 61
	n, cases := 100, []struct{ p0, r float64 }{{.1, 0}, {.1, .04}, {.1, .1}, {.01, .1}, {.01, .4}}
	if v.size == "quick" {
		n, cases = 20, cases[:0]
		for _, r := range []float64{0, .1, .4} {
			cases = append(cases, struct{ p0, r float64 }{.1, r})
		}
	}
	var rows []row
	for _, c := range cases {
		k := int(math.Round(c.p0 * float64(n)))
		t, err := v.world(slotWorld{backend: "urn", size: n, carriers: k, publish: 2 * n, generations: generations, corpora: true,
			line:     fmt.Sprintf("corpus: {size: %d, preset: replace, human: first}", n),
			extra:    fmt.Sprintf("interventions: [{kind: curate, detector: trait, best_of: 2, strength: %v, from: 1}]", 2*c.r),
			lineages: v.lineages(300, 2000, 20000)})
		if err != nil {
			return nil, err
		}
		next := func(p float64) float64 { return popgen.BestOf(2, p, c.r) }
		fixed, _, err := popgen.Chain(n, next)
		if err != nil {
			return nil, err
		}
		last := generations - 1
		what := fmt.Sprintf("N=%d, p0=%v, r=%v: ", n, c.p0, c.r)
		rows = append(rows, t.expect(what+"probability of fixation", last, func(p float64) float64 {
			return fixed[int(math.Round(p*float64(n)))]
		}, fixed[k]))
		if by := popgen.Evolve(n, k, last, next)[n]; by > .01 {
			rows = append(rows, t.expect(fmt.Sprintf("%sfixed by generation %d", what, last), last, func(p float64) float64 {
				if p == 1 {
					return 1
				}
				return 0
			}, by))
		}
	}
	return rows, nil
}

func ngramDrift(v *verifier) ([]row, error) {
	const n = 20
	generations := v.lineages(10, 30, 100)
	var rows []row
	for _, mode := range []struct {
		preset string
		law    func(n, t int) float64
	}{{"replace", popgen.Heterozygosity}, {"accumulate", popgen.Accumulating}, {"accumulate-subsample", popgen.AccumulatingSample}} {
		predicted := mode.law(n, generations)
		if predicted < .01 {
			continue
		}
		t, err := v.world(slotWorld{backend: "{kind: ngram, order: 3, smoothing: none}", size: n, carriers: n / 2, generations: generations,
			line:     fmt.Sprintf("corpus: {size: %d, preset: %s, human: first}", n, mode.preset),
			lineages: v.lineages(100, 1000, 2000)})
		if err != nil {
			return nil, err
		}
		rows = append(rows, t.expect(fmt.Sprintf("%s, N=%d: H(%d)/H0", mode.preset, n, generations), generations-1, heterozygosity(.5), predicted))
	}
	return rows, nil
}
