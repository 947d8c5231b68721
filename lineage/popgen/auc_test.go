package popgen

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestAUCCountsPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 9))
	for range 50 {
		var pos, neg []float64
		for range 3 + r.IntN(20) {
			pos = append(pos, float64(r.IntN(8)))
		}
		for range 3 + r.IntN(20) {
			neg = append(neg, float64(r.IntN(6)))
		}
		// DeLong by its definition: kernels, placements, their variances.
		m, n := float64(len(pos)), float64(len(neg))
		kernel := func(x, y float64) float64 {
			switch {
			case x > y:
				return 1
			case x == y:
				return .5
			}
			return 0
		}
		auc, v10, v01 := 0., 0., 0.
		for _, x := range pos {
			for _, y := range neg {
				auc += kernel(x, y) / m / n
			}
		}
		for _, x := range pos {
			p := 0.
			for _, y := range neg {
				p += kernel(x, y) / n
			}
			v10 += (p - auc) * (p - auc) / (m - 1)
		}
		for _, y := range neg {
			p := 0.
			for _, x := range pos {
				p += kernel(x, y) / m
			}
			v01 += (p - auc) * (p - auc) / (n - 1)
		}
		got := AUC(append(pos, math.NaN()), neg)
		near(t, "AUC", got.Mean, auc, 1e-12)
		if auc > 0 && auc < 1 {
			logit := func(p float64) float64 { return math.Log(p / (1 - p)) }
			want := 1.959963984540054 * math.Sqrt(v10/m+v01/n) / (auc * (1 - auc))
			near(t, "half width on the logit", logit(got.Hi)-logit(auc), want, 1e-9)
			near(t, "symmetry", logit(auc)-logit(got.Lo), want, 1e-9)
		}
	}
}

func TestAUCCoverage(t *testing.T) {
	// Normal scores d apart have AUC Phi(d/sqrt 2). 2000 repetitions, SE .005 at
	// .95; bounds four SE and the liberal side of DeLong at 30 texts.
	const rounds = 2000
	r := rand.New(rand.NewPCG(7, 10))
	for _, d := range []float64{.5, 1.5, 2.5} {
		want := .5 * math.Erfc(-d/2)
		covered := 0.
		for range rounds {
			var pos, neg []float64
			for range 30 {
				pos, neg = append(pos, d+r.NormFloat64()), append(neg, r.NormFloat64())
			}
			if i := AUC(pos, neg); i.Lo <= want && want <= i.Hi {
				covered += 1. / rounds
			}
		}
		t.Logf("AUC %.3f: covers %.3f", want, covered)
		if covered < .93 || covered > .985 {
			t.Errorf("AUC %.3f: covers %.3f", want, covered)
		}
	}
}

func TestAUCOfSetsApartHasABound(t *testing.T) {
	got := AUC([]float64{3, 4, 5}, []float64{0, 1, 2, 2.5})
	near(t, "lower", got.Lo, math.Pow(.05, 1./3), 1e-12)
	if got.Mean != 1 || got.Hi != 1 || got.N != 7 {
		t.Errorf("%+v", got)
	}
	if got = AUC([]float64{0}, []float64{1}); got.Mean != 0 || got.Lo != 0 || got.Hi < .9 {
		t.Errorf("%+v", got)
	}
	if got = AUC(nil, []float64{1}); !math.IsNaN(got.Mean) || got.Warn == "" {
		t.Errorf("%+v", got)
	}
}
