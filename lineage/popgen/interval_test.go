package popgen

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s = %.10g, want %.10g within %g", what, got, want, within)
	}
}

func TestWilsonSolvesItsScoreEquation(t *testing.T) {
	for _, c := range [][2]int{{0, 10}, {1, 10}, {7, 13}, {50, 50}, {300, 1000}} {
		k, n := c[0], float64(c[1])
		lo, hi := Wilson(k, c[1])
		p := float64(k) / n
		for _, b := range []float64{lo, hi} {
			if b == 0 || b == 1 {
				continue
			}
			near(t, "score at the bound", math.Abs(p-b)/math.Sqrt(b*(1-b)/n), 1.959963984540054, 1e-9)
		}
		if !(lo <= p && p <= hi) {
			t.Errorf("Wilson(%v) = %g..%g misses %g", c, lo, hi, p)
		}
	}
}

func TestClopperPearsonTailsAreExact(t *testing.T) {
	for _, c := range [][2]int{{1, 10}, {3, 40}, {5, 5}, {0, 20}, {19, 20}} {
		k, n := c[0], c[1]
		lo, hi := ClopperPearson(k, n)
		if k > 0 {
			near(t, "P(X>=k | lo)", 1-distuv.Binomial{N: float64(n), P: lo}.CDF(float64(k-1)), 0.025, 1e-9)
		} else if lo != 0 {
			t.Errorf("lo = %g at k = 0", lo)
		}
		if k < n {
			near(t, "P(X<=k | hi)", distuv.Binomial{N: float64(n), P: hi}.CDF(float64(k)), 0.025, 1e-9)
		} else if hi != 1 {
			t.Errorf("hi = %g at k = n", hi)
		}
	}
}

func TestRuleOfThreeLeavesFivePercent(t *testing.T) {
	for _, n := range []int{1, 30, 1000, 1 << 30} {
		near(t, "chance of no case", math.Exp(float64(n)*math.Log1p(-RuleOfThree(n))), 0.05, 1e-9)
	}
}

func TestProportionCoversAtEveryRate(t *testing.T) {
	// Coverage is summed exactly over the binomial, so there is no false alarm.
	for _, n := range []int{20, 60, 200} {
		for p := 0.01; p < 1; p += 0.07 {
			covered := 0.0
			for k := range n + 1 {
				if lo, hi := Proportion(k, n); lo <= p && p <= hi {
					covered += distuv.Binomial{N: float64(n), P: p}.Prob(float64(k))
				}
			}
			if covered < 0.92 {
				t.Errorf("n = %d, p = %.2f: covers %.3f", n, p, covered)
			}
		}
	}
}

func TestIntervalsRefuseImpossibleCounts(t *testing.T) {
	for _, f := range []func(int, int) (float64, float64){Proportion, Wilson, ClopperPearson} {
		for _, c := range [][2]int{{-1, 5}, {6, 5}, {0, 0}} {
			if lo, hi := f(c[0], c[1]); !math.IsNaN(lo) || !math.IsNaN(hi) {
				t.Errorf("%v gives %g..%g", c, lo, hi)
			}
		}
	}
}

func TestTIntervalCoversNineteenInTwenty(t *testing.T) {
	// 8000 intervals of 6 normal values cover .95 with SE .0024; the bound of
	// four SE has a false-alarm rate of 6e-5. Fixed seed.
	r := rand.New(rand.NewPCG(1, 2))
	covered := 0
	const rounds = 8000
	for range rounds {
		values := make([]float64, 6)
		for i := range values {
			values[i] = 3 + r.NormFloat64()
		}
		if got := TInterval(values); got.Lo <= 3 && 3 <= got.Hi {
			covered++
		}
	}
	near(t, "coverage", float64(covered)/rounds, 0.95, 4*0.0024)
}

func TestTIntervalIsStudents(t *testing.T) {
	got := TInterval([]float64{1, 2, math.NaN(), 3, 4, 5})
	if got.N != 5 || got.Warn != "" {
		t.Fatalf("%+v", got)
	}
	// t(.975, 4) = 2.776445, s = sqrt(2.5).
	near(t, "mean", got.Mean, 3, 1e-12)
	near(t, "half width", got.Hi-got.Mean, 2.7764451052*math.Sqrt(2.5/5), 1e-8)
	near(t, "symmetry", got.Hi-got.Mean, got.Mean-got.Lo, 1e-12)
}

func TestTIntervalRefusesFourReplicates(t *testing.T) {
	got := TInterval([]float64{1, 2, 3, math.NaN(), 4})
	if !math.IsNaN(got.Lo) || !math.IsNaN(got.Hi) || got.Mean != 2.5 || !strings.Contains(got.Warn, "4 replicates") {
		t.Errorf("%+v", got)
	}
	if none := TInterval(nil); !math.IsNaN(none.Mean) || none.Warn == "" {
		t.Errorf("%+v", none)
	}
	if same := TInterval([]float64{0, 0, 0, 0, 0}); same.Lo != 0 || same.Hi != 0 || same.Warn == "" {
		t.Errorf("%+v", same)
	}
}

func TestPairedTakesWhatBothMeasured(t *testing.T) {
	a := []float64{1, 2, math.NaN(), 4, 5, 6, 9}
	b := []float64{0, 1, 1, math.NaN(), 3, 4, 8}
	want := TInterval([]float64{1, 1, 2, 2, 1})
	if got := Paired(a, b); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
