package popgen

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// within sums a law over the steps from lo to hi, both counted.
func within(law []float64, lo, hi float64) (sum float64) {
	n := float64(len(law) - 1)
	for k, p := range law {
		if x := float64(k); lo*n-1e-6 <= x && x <= hi*n+1e-6 {
			sum += p
		}
	}
	return sum
}

// meansOf is the law of the sum of r independent draws.
func meansOf(law []float64, r int) []float64 {
	sum := []float64{1}
	for range r {
		next := make([]float64, len(sum)+len(law)-1)
		for i, a := range sum {
			for j, b := range law {
				next[i+j] += a * b
			}
		}
		sum = next
	}
	return sum
}

func TestBandHoldsExactChains(t *testing.T) {
	// Coverage is summed exactly over the Markov chain: no false alarm.
	worst, worstMean := 1.0, 1.0
	for _, n := range []int{20, 60} {
		for _, m := range []float64{0, .1} {
			step := make([][]float64, n+1)
			for i := range step {
				draw := distuv.Binomial{N: float64(n), P: (1-m)*float64(i)/float64(n) + m*.05}
				step[i] = make([]float64, n+1)
				for j := range step[i] {
					if draw.P > 0 && draw.P < 1 {
						step[i][j] = draw.Prob(float64(j))
					}
				}
			}
			if m == 0 {
				step[0][0], step[n][n] = 1, 1
			}
			for _, p0 := range []float64{.02, .1, .3, .5} {
				law := make([]float64, n+1)
				law[int(math.Round(p0*float64(n)))] = 1
				for g := 1; g <= 64; g++ {
					next := make([]float64, n+1)
					for i, w := range law {
						for j := range next {
							next[j] += w * step[i][j]
						}
					}
					law = next
					var mean, v float64
					for k, p := range law {
						mean += p * float64(k) / float64(n)
					}
					for k, p := range law {
						v += p * (float64(k)/float64(n) - mean) * (float64(k)/float64(n) - mean)
					}
					grain := 1 / float64(n)
					lo, hi := Band(mean, v, grain)
					worst = min(worst, within(law, lo, hi))
					if g&(g-1) == 0 {
						lo, hi = MeanBand(mean, v/5, grain/5)
						worstMean = min(worstMean, within(meansOf(law, 5), lo, hi))
					}
				}
			}
		}
	}
	t.Logf("least coverage: %.3f of lineages, %.3f of means of five", worst, worstMean)
	if worst < .935 || worstMean < .935 {
		t.Errorf("the bands hold %.3f of lineages and %.3f of means", worst, worstMean)
	}
}

func TestBandTellsSelectionFromDrift(t *testing.T) {
	// A behaviour favoured by s = .5 from .1 of 100 documents leaves both bands
	// after ten generations, so the bands are not merely wide.
	_, v := Anchored(100, .1, 0, 0, 10)
	_, hi := Band(.1, v, .01)
	_, meanHi := MeanBand(.1, v/8, .01/8)
	p := .1
	for range 10 {
		p = Curated(p, .5)
	}
	if p < hi || meanHi > .25 {
		t.Errorf("favoured %.3f, neutral up to %.3f, mean of eight up to %.3f", p, hi, meanHi)
	}
}

func TestBandHoldsAWeb(t *testing.T) {
	// 4000 lineages and 500 means of eight have SE .0034 and .0098; the bounds are
	// four SE below .95 and .94, a false-alarm rate of 6e-5 at most.
	demes := web(8, .1)
	n := drift(t, demes)
	last := len(demes) - 1
	grain := 1 / float64(demes[last].Outputs)
	lo, hi := Band(n.Mean(last), n.Variance(last), grain)
	meanLo, meanHi := MeanBand(n.Mean(last), n.Variance(last)/8, grain/8)
	r := rand.New(rand.NewPCG(25, 26))
	single, means, sum := 0, 0, 0.0
	for i := 1; i <= 4000; i++ {
		x := simulate(r, demes)[last]
		if sum += x; lo-1e-9 <= x && x <= hi+1e-9 {
			single++
		}
		if i%8 == 0 {
			if m := sum / 8; meanLo-1e-9 <= m && m <= meanHi+1e-9 {
				means++
			}
			sum = 0
		}
	}
	if single < 3746 || means < 450 {
		t.Errorf("%d of 4000 lineages within %g..%g, %d of 500 means within %g..%g", single, lo, hi, means, meanLo, meanHi)
	}
}

func TestBandAtItsEnds(t *testing.T) {
	for _, c := range []struct{ mean, variance, grain, lo, hi float64 }{
		{.3, 0, .1, .3, .3}, {0, 0, .1, 0, 0}, {1, .5, 0, 1, 1},
		{.5, .25, 0, 0, 1}, {.01, .0099, 0, 0, 0}, {.99, .0099, 0, 1, 1}, {.5, .9, 0, 0, 1},
		{.5, 1e-12, 0, .5 - 1.96e-6, .5 + 1.96e-6},
	} {
		lo, hi := Band(c.mean, c.variance, c.grain)
		near(t, "lo", lo, c.lo, 1e-9)
		near(t, "hi", hi, c.hi, 1e-9)
	}
	for _, c := range [][2]float64{{-1, .1}, {.5, -1}, {math.NaN(), .1}, {.5, math.NaN()}} {
		if lo, hi := Band(c[0], c[1], 0); !math.IsNaN(lo) || !math.IsNaN(hi) {
			t.Errorf("Band(%v) = %g..%g", c, lo, hi)
		}
	}
	lo, hi := MeanBand(.5, .0025, 0)
	near(t, "normal lo", lo, .5-1.959964*.05, 1e-6)
	near(t, "normal hi", hi, .5+1.959964*.05, 1e-6)
	for mean := .001; mean < 1; mean += .0499 {
		for _, fill := range []float64{1e-9, 1e-4, .01, .3, .7, .95, .985, .995, 1} {
			lo, hi := Band(mean, fill*mean*(1-mean), .01)
			if !(0 <= lo && lo <= hi && hi <= 1) {
				t.Errorf("Band(%g, %g of the most) = %g..%g", mean, fill, lo, hi)
			}
			if lo, hi := MeanBand(mean, fill*mean*(1-mean), .01); !(0 <= lo && lo <= mean && mean <= hi && hi <= 1) && fill < .985 {
				t.Errorf("MeanBand(%g, %g of the most) = %g..%g", mean, fill, lo, hi)
			}
		}
	}
}
