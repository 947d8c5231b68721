package popgen

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestAlphaAsPublished(t *testing.T) {
	x := math.NaN()
	// Krippendorff 2011, example C: four observers, twelve units.
	raters := [][]float64{
		{1, 2, 3, 3, 2, 1, 4, 1, 2, x, x, x},
		{1, 2, 3, 3, 2, 2, 4, 1, 2, 5, x, 3},
		{x, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, x},
		{1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, x},
	}
	near(t, "nominal", Alpha(byUnit(raters), Nominal), .743, 5e-4)
	near(t, "interval", Alpha(byUnit(raters), Squared), .849, 5e-4)
	// Two raters, one disagreement, by hand: D_o = 2/8; D_e = 2·3·5/(8·7).
	two := [][]float64{{0, 0, 1, 0}, {0, 0, 1, 1}}
	near(t, "by hand", Alpha(byUnit(two), Nominal), 1-(2./8)/(30./56), 1e-12)
	if a := Alpha([][]float64{{1, 1}, {1, x}, {1}}, Nominal); !math.IsNaN(a) {
		t.Errorf("values that never vary give %g", a)
	}
	if a := Alpha(nil, Nominal); !math.IsNaN(a) {
		t.Errorf("nothing gives %g", a)
	}
}

// byUnit turns raters' rows into units.
func byUnit(raters [][]float64) [][]float64 {
	units := make([][]float64, len(raters[0]))
	for _, row := range raters {
		for u, v := range row {
			units[u] = append(units[u], v)
		}
	}
	return units
}

func TestRepeatsAsPublished(t *testing.T) {
	// Shrout and Fleiss 1979, table 2: ICC(1,1) = .17 with BMS 11.24, WMS 6.26.
	got := Repeats([][]float64{{9, 2, 5, 8}, {6, 1, 3, 2}, {8, 4, 6, 8}, {7, 1, 2, 6}, {10, 5, 6, 9}, {6, 2, 4, 7}})
	near(t, "ICC", got.ICC.Mean, .166, 5e-4)
	near(t, "within", got.Within, 6.264, 5e-4)
	near(t, "between", got.Between, (11.242-6.264)/4, 5e-4)
	near(t, "lower end", got.ICC.Lo, -.133, 5e-4)
	near(t, "upper end", got.ICC.Hi, .723, 5e-4)
	if got.Items != 6 || got.Scores != 24 {
		t.Errorf("%+v", got)
	}
}

func TestRepeatsFindTheVariancesThatMadeThem(t *testing.T) {
	// 4000 items, 2 to 4 repeats: SE of the ICC of .69 is .008; four of them.
	r := rand.New(rand.NewPCG(7, 8))
	items := make([][]float64, 4000)
	for i := range items {
		at := 1.5 * r.NormFloat64()
		for range 2 + i%3 {
			items[i] = append(items[i], at+r.NormFloat64())
		}
	}
	got := Repeats(items)
	near(t, "ICC", got.ICC.Mean, 2.25/3.25, .032)
	near(t, "within", got.Within, 1, .08)
	if !(got.ICC.Lo < got.ICC.Mean && got.ICC.Mean < got.ICC.Hi) {
		t.Errorf("%+v", got)
	}
	for _, few := range [][][]float64{nil, {{1, 2}}, {{1, 2}, {3}}, {{1, 1}, {1, 1}}, {{1, 1}, {2, 2}}} {
		if got := Repeats(few); got.ICC.Warn == "" || !math.IsNaN(got.ICC.Lo) {
			t.Errorf("%v: %+v", few, got)
		}
	}
}

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
