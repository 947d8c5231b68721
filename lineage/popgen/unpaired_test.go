package popgen

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestUnpairedOfAWorkedExample(t *testing.T) {
	a, b := []float64{1, 2, 3}, []float64{3, 5, 7, 9}
	// t = -4 / sqrt(1/3 + (20/3)/4), degrees = 2² / ((1/3)²/2 + (5/3)²/3) by hand.
	want := 2 * (1 - studentCDF(4/math.Sqrt2, 4/(1.0/18+25.0/27)))
	if got := Unpaired(a, b); math.Abs(got-want) > 1e-6 {
		t.Errorf("p is %v instead of %v", got, want)
	}
}

// studentCDF integrates the density by Simpson's rule.
func studentCDF(x, nu float64) float64 {
	top, _ := math.Lgamma((nu + 1) / 2)
	bottom, _ := math.Lgamma(nu / 2)
	density := func(t float64) float64 {
		return math.Exp(top-bottom) / math.Sqrt(nu*math.Pi) * math.Pow(1+t*t/nu, -(nu+1)/2)
	}
	const steps = 2000
	h := x / steps
	sum := density(0) + density(x)
	for i := 1; i < steps; i++ {
		sum += density(float64(i)*h) * float64(2+2*(i%2))
	}
	return 0.5 + sum*h/3
}

func TestUnpairedAtItsEnds(t *testing.T) {
	same, other := []float64{0, 0, 0}, []float64{1, 1, 1}
	for _, c := range []struct {
		name string
		a, b []float64
		want float64
	}{
		{"no difference and no spread", same, same, 1},
		{"total separation", same, other, 2.0 / 20},
		{"one value", same[:1], other, math.NaN()},
		{"missing values are left out", []float64{math.NaN(), 0, 0, 0}, other, 2.0 / 20},
	} {
		if got := Unpaired(c.a, c.b); math.Abs(got-c.want) > 1e-9 || math.IsNaN(got) != math.IsNaN(c.want) {
			t.Errorf("%s: %v instead of %v", c.name, got, c.want)
		}
	}
}

// At 4000 pairs of samples with one mean and unlike spreads, p < .05 comes up
// between 3.9 and 6.1 % of the time; beyond that, the false-alarm rate of this
// test is 1 in 1000.
func TestUnpairedIsUniformUnderTheNull(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	const runs = 4000
	hits := 0
	for range runs {
		a, b := make([]float64, 12), make([]float64, 7)
		for i := range a {
			a[i] = r.NormFloat64()
		}
		for i := range b {
			b[i] = 3 * r.NormFloat64()
		}
		if Unpaired(a, b) < .05 {
			hits++
		}
	}
	if z := (float64(hits) - .05*runs) / math.Sqrt(.05*.95*runs); math.Abs(z) > 3.3 {
		t.Errorf("%d of %d are below .05 (z %.1f)", hits, runs, z)
	}
}
