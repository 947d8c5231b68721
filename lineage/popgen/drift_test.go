package popgen

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func drift(t *testing.T, demes []Deme) *Neutral {
	t.Helper()
	n, err := Drift(demes)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDriftOfAChainIsWrightFisher(t *testing.T) {
	// Two ways of the same: N documents published and all read; endless text of
	// which N documents are read.
	const n, p0 = 40, .3
	published := []Deme{{Start: p0, Outputs: n}}
	read := []Deme{{Start: p0}}
	for g := range 60 {
		published = append(published, Deme{Outputs: n, Sources: []Source{{From: g, Share: 1, Documents: n}}})
		read = append(read, Deme{Sources: []Source{{From: g, Share: 1, Documents: n}}})
	}
	a, b := drift(t, published), drift(t, read)
	for g := range published {
		want := p0 * (1 - p0) * (1 - Heterozygosity(n, g))
		near(t, "variance, published", a.Variance(g), want, 1e-14)
		near(t, "variance, read", b.Variance(g), want, 1e-14)
		near(t, "mean", a.Mean(g), p0, 1e-14)
		near(t, "covariance with the middle", a.Covariance(g, min(g, 30)), a.Variance(min(g, 30)), 1e-14)
	}
}

func TestDriftWithAnAnchorIsTheAnchoredForm(t *testing.T) {
	const n, p0, q, m = 100, .7, .1, .05
	demes := []Deme{{Start: p0, Outputs: n}}
	for g := range 300 {
		demes = append(demes, Deme{Outputs: n, Sources: []Source{
			{From: g, Share: 1 - m, Documents: n}, {From: Outside, Rate: q, Share: m},
		}})
	}
	got := drift(t, demes)
	for g := range demes {
		mean, v := Anchored(n, p0, q, m, g)
		near(t, "mean", got.Mean(g), mean, 1e-12)
		near(t, "variance", got.Variance(g), v, 1e-14)
	}
	_, v := AnchoredStationary(n, q, m)
	near(t, "variance in the long run", got.Variance(300), v, 1e-7)
}

// simulate publishes from every deme once, with pools of real documents.
func simulate(r *rand.Rand, demes []Deme) []float64 {
	shares := make([]float64, len(demes))
	pools := make([][]bool, len(demes))
	for i, d := range demes {
		shares[i] = d.Start
		if len(d.Sources) > 0 {
			shares[i] = 0
		}
		for _, s := range d.Sources {
			from := s.Rate
			if s.From != Outside {
				from = shares[s.From]
			}
			if s.Documents > 0 {
				k := 0
				if s.From != Outside && demes[s.From].Outputs > 0 {
					pool := pools[s.From]
					r.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
					for j := range s.Documents {
						if pool[j%len(pool)] {
							k++
						}
					}
				} else {
					k = binomial(r, s.Documents, from)
				}
				from = float64(k) / float64(s.Documents)
			}
			shares[i] += s.Share * from
		}
		if d.Outputs == 0 {
			continue
		}
		k := int(math.Round(shares[i] * float64(d.Outputs)))
		if len(d.Sources) > 0 {
			k = binomial(r, d.Outputs, shares[i])
		}
		pools[i] = make([]bool, d.Outputs)
		for j := range k {
			pools[i][j] = true
		}
		shares[i] = float64(k) / float64(d.Outputs)
	}
	return shares
}

// web is two lines that read each other, a window of two generations, a bit of
// human text, and more draws than a pool holds.
func web(generations int, anchor float64) []Deme {
	demes := []Deme{{Start: .4, Outputs: 20}, {Start: .1, Outputs: 30}}
	for g := 1; g < generations; g++ {
		own, other := 2*g-2, 2*g-1
		first := Deme{Outputs: 20, Sources: []Source{
			{From: own, Share: .6, Documents: 12}, {From: other, Share: .4 - anchor, Documents: 33},
			{From: Outside, Rate: .05, Share: anchor, Documents: 5},
		}}
		second := Deme{Outputs: 30, Sources: []Source{
			{From: other, Share: .5, Documents: 15}, {From: own, Share: .3, Documents: 9},
			{From: max(0, own-2), Share: .2, Documents: 6},
		}}
		demes = append(demes, first, second)
	}
	return demes
}

func TestDriftOfAWebEqualsSimulation(t *testing.T) {
	// 20,000 lineages; 24 checks at 4 SE: false-alarm rate .0015. Fixed seed.
	demes := web(5, .1)
	got := drift(t, demes)
	r := rand.New(rand.NewPCG(23, 24))
	const rounds = 20000
	values := make([][]float64, len(demes))
	for range rounds {
		for i, s := range simulate(r, demes) {
			values[i] = append(values[i], s)
		}
	}
	for i := 2; i < len(demes); i++ {
		m, se, v, seV := spreadOf(values[i])
		near(t, fmt.Sprintf("mean of %d", i), m, got.Mean(i), 4*se)
		near(t, fmt.Sprintf("variance of %d", i), v, got.Variance(i), 4*seV)
		products := make([]float64, rounds)
		for k := range products {
			products[k] = (values[i][k] - got.Mean(i)) * (values[i-1][k] - got.Mean(i-1))
		}
		c, seC, _, _ := spreadOf(products)
		near(t, fmt.Sprintf("covariance of %d and %d", i, i-1), c, got.Covariance(i, i-1), 4*seC+1e-12)
	}
}

func TestDriftRefusesWhatIsNoGraph(t *testing.T) {
	for name, demes := range map[string][]Deme{
		"from the future":  {{Sources: []Source{{From: 0, Share: 1}}}},
		"before the start": {{Start: .1}, {Sources: []Source{{From: -2, Share: 1}}}},
		"shares":           {{Start: .1}, {Sources: []Source{{From: 0, Share: .9}}}},
		"start":            {{Start: 1.1}},
		"NaN start":        {{Start: math.NaN()}},
		"rate":             {{Sources: []Source{{From: Outside, Rate: 2, Share: 1}}}},
		"documents":        {{Start: .1}, {Sources: []Source{{From: 0, Share: 1, Documents: -1}}}},
		"outputs":          {{Start: .1, Outputs: -3}},
	} {
		if _, err := Drift(demes); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if n, err := Drift(nil); err != nil || n == nil {
		t.Errorf("no demes: %v", err)
	}
}
