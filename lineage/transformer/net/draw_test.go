package net

import (
	"math"
	"testing"
)

// TestDrawIsAsProbableAsTheLogitsSay draws at evenly spaced u, so that counts are
// exact to one.
func TestDrawIsAsProbableAsTheLogitsSay(t *testing.T) {
	logits := []float32{0, 2, -1, 1.5, -20, 1, 0.5}
	const n = 10000
	for _, c := range []struct {
		temperature float64
		topK        int
		topP        float64
		allowed     []bool
	}{
		{1, 0, 0, nil},
		{1, 0, 1, nil},
		{.5, 0, 0, nil},
		{1, 3, 0, []bool{1: true, 3: true, 5: true}},
		{1, 100, 0, nil},
		{1, 0, .6, []bool{1: true, 3: true}},
		{1, 0, 1e-9, []bool{1: true}},
		{1, 1, .9, []bool{1: true}},
		{1, 3, .7, []bool{1: true, 3: true}}, // of the three: 0.506, 0.307, 0.186
	} {
		want, total := make([]float64, len(logits)), 0.0
		for i, z := range logits {
			if c.allowed == nil || i < len(c.allowed) && c.allowed[i] {
				want[i] = math.Exp(float64(z) / c.temperature)
				total += want[i]
			}
		}
		count := make([]float64, len(logits))
		for i := range n {
			count[Draw(logits, c.temperature, c.topK, c.topP, (float64(i)+.5)/n)]++
		}
		for i := range want {
			if p := want[i] / total; math.Abs(count[i]/n-p) > 2./n {
				t.Errorf("%+v: token %d is drawn %v of %d times, not %.4f", c, i, count[i], n, p)
			}
		}
	}
	if got := Draw([]float32{1, 3, 3, 2}, 0, 0, 0, .9); got != 1 {
		t.Errorf("at temperature 0 token %d is drawn", got)
	}
	for _, u := range []float64{0, math.Nextafter(1, 0)} {
		if got := Draw([]float32{-50, 0, -50, -200}, 1, 0, 1, u); got < 0 || got > 2 {
			t.Errorf("at %v token %d is drawn", u, got)
		}
	}
}
