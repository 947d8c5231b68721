package popgen

import (
	"math"
	"math/rand/v2"
	"testing"
)

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
