package popgen

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

func binomial(r *rand.Rand, n int, p float64) int {
	k := 0
	for range n {
		if r.Float64() < p {
			k++
		}
	}
	return k
}

// spreadOf gives mean and variance with their standard errors.
func spreadOf(values []float64) (mean, seMean, variance, seVariance float64) {
	n := float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	var fourth float64
	for _, v := range values {
		d := (v - mean) * (v - mean)
		variance += d / (n - 1)
		fourth += d * d / n
	}
	return mean, math.Sqrt(variance / n), variance, math.Sqrt(max(0, fourth-variance*variance) / n)
}

func TestHeterozygosityAsPublished(t *testing.T) {
	near(t, "t=10", Heterozygosity(100, 10), .9044, 5e-5)
	near(t, "t=50", Heterozygosity(100, 50), .6050, 5e-5)
	near(t, "t=100", Heterozygosity(100, 100), .3660, 5e-5)
	near(t, "N=25, t=100", Heterozygosity(25, 100), .0169, 5e-5)
	for n, want := range map[int]float64{4: .6382, 10: .8443, 25: .9359} {
		near(t, "accumulating", Accumulating(n, 100), want, 5e-5)
	}
	for n, want := range map[int]float64{10: .8434, 50: .9674, 100: .9836} {
		near(t, "accumulating, limit", AccumulatingLimit(n), want, 5e-5)
		near(t, "limit is the limit", Accumulating(n, 1_000_000), AccumulatingLimit(n), 1e-6)
	}
	for n, want := range map[int]float64{4: .4534, 10: .7411, 25: .8891} {
		near(t, "accumulating, sampled", AccumulatingSample(n, 100), want, 5e-5)
	}
	near(t, "sampled, first generation", AccumulatingSample(10, 1), Heterozygosity(10, 1), 1e-12)
}

func TestAccumulatingSampleEqualsSimulation(t *testing.T) {
	// 20,000 lineages, 3 SE at three checkpoints: false-alarm rate .008.
	r := rand.New(rand.NewPCG(13, 14))
	const n, p0, rounds = 6, 0.5, 20000
	at := map[int]float64{1: 0, 3: 0, 8: 0}
	square := map[int]float64{}
	for range rounds {
		pool := make([]bool, 0, 8*n)
		p := p0
		for g := 1; g <= 8; g++ {
			for range n {
				pool = append(pool, r.Float64() < p)
			}
			r.Shuffle(len(pool), func(i, j int) { pool[i], pool[j] = pool[j], pool[i] })
			k := 0
			for _, carries := range pool[:n] {
				if carries {
					k++
				}
			}
			p = float64(k) / n
			if _, ok := at[g]; ok {
				at[g] += p * (1 - p) / rounds
				square[g] += p * (1 - p) * p * (1 - p) / rounds
			}
		}
	}
	for g, h := range at {
		se := math.Sqrt((square[g] - h*h) / rounds)
		near(t, "H", h, p0*(1-p0)*AccumulatingSample(n, g), 3*se)
	}
}

func TestAnchoredVarianceAsPublished(t *testing.T) {
	for m, want := range map[float64]float64{.01: .03030, .05: .00845, .2: .00246} {
		mean, v := AnchoredStationary(100, .1, m)
		near(t, "stationary", v, want, 6e-6)
		late, lateV := Anchored(100, .9, .1, m, 5000)
		near(t, "mean in the long run", late, mean, 1e-9)
		near(t, "variance in the long run", lateV, v, 1e-9)
	}
	mean, v := Anchored(50, .3, .1, .05, 7)
	near(t, "mean at t", mean, .1+math.Pow(.95, 7)*.2, 1e-12)
	_, none := Anchored(50, .3, .9, 0, 20)
	near(t, "without anchor", none, .3*.7*(1-Heterozygosity(50, 20)), 1e-12)
	// 40,000 lineages, 3 SE, two checks: false-alarm rate .005.
	r := rand.New(rand.NewPCG(15, 16))
	values := make([]float64, 40000)
	for i := range values {
		p := .3
		for range 7 {
			p = float64(binomial(r, 50, .95*p+.05*.1)) / 50
		}
		values[i] = p
	}
	m, se, s2, se2 := spreadOf(values)
	near(t, "simulated mean", m, mean, 3*se)
	near(t, "simulated variance", s2, v, 3*se2)
}

func TestBestOfAsPublished(t *testing.T) {
	after := func(k int) float64 {
		p := .05
		for range 5 {
			p = BestOf(k, p, 1)
		}
		return p
	}
	for k, want := range map[int]float64{2: .278, 4: .618, 8: .784, 64: .877} {
		near(t, "after five generations", after(k), want, 5e-4)
	}
	p := .05
	for range 5 {
		p = BestOfAll(p, 1)
	}
	near(t, "best of all", p, .887, 5e-4)
	near(t, "as a logit", logit(p), logit(.05)+5, 1e-9)
	for _, p := range []float64{0, .01, .3, .77, 1} {
		for _, r := range []float64{-3, 0, .2, 2} {
			near(t, "K=2", BestOf(2, p, r), Curated(p, math.Tanh(r/2)), 1e-9)
			near(t, "K=1", BestOf(1, p, r), p, 1e-9)
			near(t, "large K", BestOf(4000, p, r), BestOfAll(p, r), 2e-3)
		}
	}
}

func TestTemperDividesTheLogit(t *testing.T) {
	for _, p := range []float64{0, .2, .5, .9, 1} {
		near(t, "T=1", Temper(p, 1), p, 1e-12)
		a, b := math.Pow(p, 1/.7), math.Pow(1-p, 1/.7)
		near(t, "T=.7", Temper(p, .7), a/(a+b), 1e-12)
	}
	if got := Temper(.6, .5); got <= .6 {
		t.Errorf("cold sampling gives %g, and the majority did not grow", got)
	}
}

func TestFixationAsPublished(t *testing.T) {
	fixation := func(n int, s float64) []float64 {
		fixed, _, err := Chain(n, func(p float64) float64 { return Curated(p, s) })
		if err != nil {
			t.Fatal(err)
		}
		return fixed
	}
	near(t, "neutral", fixation(100, 0)[10], .1, 1e-9)
	near(t, "s=.02", fixation(100, math.Tanh(.02))[10], .3350, 5e-5)
	near(t, "s=.05", fixation(100, math.Tanh(.05))[10], .6277, 5e-5)
	near(t, "s=.197", fixation(100, math.Tanh(.2))[1], .3115, 5e-5)
	near(t, "s=.05, one", fixation(100, math.Tanh(.05))[1], .0939, 5e-5)
	near(t, "Kimura s=.02", Kimura(100, .1, math.Tanh(.02)), .3358, 5e-5)
	near(t, "Kimura s=.05", Kimura(100, .1, math.Tanh(.05)), .6318, 5e-5)
	near(t, "Kimura s=.197", Kimura(100, .01, math.Tanh(.2)), .3262, 5e-5)
	near(t, "Kimura, strongly against", Kimura(1000, .999, -1), math.Exp(-2), 1e-3)
	near(t, "Kimura, s to 0", Kimura(100, .3, 1e-12), .3, 1e-9)
}

func TestAbsorptionAsPublished(t *testing.T) {
	_, time, err := Chain(100, func(p float64) float64 { return p })
	if err != nil {
		t.Fatal(err)
	}
	near(t, "exact, half", time[50], 136.6, .05)
	near(t, "exact, tenth", time[10], 63.5, .05)
}

func TestChainEqualsSimulation(t *testing.T) {
	// 20,000 lineages of 20 documents, 3 SE, two checks: false-alarm rate .005.
	fixed, time, err := Chain(20, func(p float64) float64 { return Curated(p, .1) })
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(17, 18))
	won, ages := make([]float64, 20000), make([]float64, 20000)
	for i := range won {
		k := 4
		for ; k > 0 && k < 20; ages[i]++ {
			k = binomial(r, 20, Curated(float64(k)/20, .1))
		}
		won[i] = float64(k / 20)
	}
	m, se, _, _ := spreadOf(won)
	near(t, "fixation", m, fixed[4], 3*se)
	m, se, _, _ = spreadOf(ages)
	near(t, "time", m, time[4], 3*se)
}

func TestChainRefusesMapsWithoutEnds(t *testing.T) {
	for name, next := range map[string]func(float64) float64{
		"migration": func(p float64) float64 { return .9*p + .05 },
		"killing":   func(p float64) float64 { return math.Floor(p) },
		"nan":       func(p float64) float64 { return math.NaN() },
	} {
		if _, _, err := Chain(10, next); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, _, err := Chain(0, func(p float64) float64 { return p }); err == nil {
		t.Error("population of 0: no error")
	}
}

func TestSurvivalAsPublished(t *testing.T) {
	for _, c := range []struct {
		a    float64
		k    int
		want float64
	}{{1, 10, .1582}, {5, 10, .5774}, {5, 50, .1746}, {20, 50, .5358}} {
		near(t, "survival", Survival(c.a, c.k), c.want, 5e-5)
		if bound := -math.Expm1(-c.a / float64(c.k)); Survival(c.a, c.k) < bound {
			t.Errorf("survival of %g after %d is below the bound %g", c.a, c.k, bound)
		}
	}
	near(t, "in the long run", Survival(3, 5000), -math.Expm1(-2*3.0/5000), 1e-5)
}

func TestExtinctionAsPublished(t *testing.T) {
	for r, want := range map[float64]float64{0: 1, .9: 1, 1: 1, 1.1: .8239, 1.5: .4172, 2: .2032} {
		near(t, "extinction", Extinction(r), want, 5e-5)
	}
	for _, r := range []float64{1 + 1e-6, 1.01, 1.3, 5, 30} {
		q := Extinction(r)
		near(t, "fixed point", math.Exp(r*(q-1)), q, 1e-12)
		if q >= 1 && r > 1.001 {
			t.Errorf("R = %g gives the root at 1", r)
		}
	}
}

func TestHalfLifeOfAnchoring(t *testing.T) {
	near(t, "m=.05", HalfLife(.95), 13.5, .05)
	near(t, "m=.1", HalfLife(.9), 6.6, .05)
	near(t, "R=0", HalfLife(0), 0, 0)
	if !math.IsInf(HalfLife(1), 1) || !math.IsInf(HalfLife(1.2), 1) || !math.IsNaN(HalfLife(-1)) || !math.IsNaN(HalfLife(math.NaN())) {
		t.Error("half-life is wrong at an end")
	}
}

func TestIteratedLearningEndsAtThePrior(t *testing.T) {
	prior := Prior{.5, 1.5}
	near(t, "mean", prior.Mean(), .25, 1e-12)
	near(t, "sampler variance", prior.SamplerVariance(), .0625, 1e-12)
	near(t, "posterior-mean variance", prior.MeanVariance(20), .03606, 5e-6)
	near(t, "decay", prior.Decay(20), .9091, 5e-5)
	// 5000 chains over 120 generations, which leave 1e-5 of the start. 3 SE on
	// three moments and p > .01: false-alarm rate .018.
	r := rand.New(rand.NewPCG(19, 20))
	sampler, smoothed := make([]float64, 5000), make([]float64, 5000)
	for i := range sampler {
		p, q := .9, .9
		for range 120 {
			k := float64(binomial(r, 20, p))
			p = distuv.Beta{Alpha: prior.A + k, Beta: prior.B + 20 - k, Src: r}.Rand()
			q = (prior.A + float64(binomial(r, 20, q))) / 22
		}
		sampler[i], smoothed[i] = p, q
	}
	m, se, v, seV := spreadOf(sampler)
	near(t, "mean of samplers", m, prior.Mean(), 3*se)
	near(t, "variance of samplers", v, prior.SamplerVariance(), 3*seV)
	_, _, v, seV = spreadOf(smoothed)
	near(t, "variance of posterior means", v, prior.MeanVariance(20), 3*seV)
	if d, p := KolmogorovSmirnov(sampler, prior.Law); p <= .01 {
		t.Errorf("samplers are not Beta(.5, 1.5): D = %g, p = %g", d, p)
	}
}

func TestEvolveAgreesWithDriftAndEndsAtFixation(t *testing.T) {
	const n, k = 40, 8
	neutral := Evolve(n, k, 25, func(p float64) float64 { return p })
	var mean, h float64
	for i, p := range neutral {
		x := float64(i) / n
		mean, h = mean+p*x, h+p*x*(1-x)
	}
	if math.Abs(mean-.2) > 1e-12 || math.Abs(h/.16-Heterozygosity(n, 25)) > 1e-12 {
		t.Errorf("after 25 generations the mean is %v and H/H0 %v, theory has .2 and %v", mean, h/.16, Heterozygosity(n, 25))
	}
	curated := func(p float64) float64 { return BestOf(2, p, .3) }
	fixed, _, err := Chain(n, curated)
	if err != nil {
		t.Fatal(err)
	}
	end := Evolve(n, k, 4000, curated)
	if math.Abs(end[n]-fixed[k]) > 1e-9 || math.Abs(end[0]+end[n]-1) > 1e-9 {
		t.Errorf("in the end %v are fixed and %v lost; the chain has %v", end[n], end[0], fixed[k])
	}
}

func TestBetaBinomialHasItsMoments(t *testing.T) {
	const n, a, b = 20, .5, 1.5
	var sum, mean, square float64
	for k := 0; k <= n; k++ {
		p := BetaBinomial(n, k, a, b)
		sum, mean, square = sum+p, mean+p*float64(k), square+p*float64(k*k)
	}
	variance := n * a * b * (a + b + n) / ((a + b) * (a + b) * (a + b + 1))
	if math.Abs(sum-1) > 1e-12 || math.Abs(mean-n*a/(a+b)) > 1e-10 || math.Abs(square-mean*mean-variance) > 1e-9 {
		t.Errorf("sum %v, mean %v, variance %v; they are 1, %v and %v", sum, mean, square-mean*mean, n*a/(a+b), variance)
	}
}
