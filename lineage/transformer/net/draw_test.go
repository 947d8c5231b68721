package net

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"
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
	nan := float32(math.NaN())
	for _, topP := range []float64{0, .5} {
		if got := Draw([]float32{1, nan, 2}, 1, 0, topP, .7); got != 0 {
			t.Errorf("of logits that are no numbers token %d is drawn", got)
		}
	}
	for _, u := range []float64{0, math.Nextafter(1, 0)} {
		if got := Draw([]float32{-50, 0, -50, -200}, 1, 0, 1, u); got < 0 || got > 2 {
			t.Errorf("at %v token %d is drawn", u, got)
		}
	}
}

// TestShortcutsOfTheNucleusChangeNothing compares with a ranking of all tokens.
func TestShortcutsOfTheNucleusChangeNothing(t *testing.T) {
	chance := stream(2, "nucleus")
	for trial := range 2000 {
		logits := make([]float32, 1+chance.IntN(200))
		for i := range logits {
			logits[i] = float32(math.Round(chance.NormFloat64()*4) * chance.Float64()) // with ties
		}
		topK, topP, u := chance.IntN(100)*(trial%2), []float64{0, .3, .9, .999}[chance.IntN(4)], chance.Float64()
		if got, want := Draw(logits, 1.3, topK, topP, u), drawPlainly(logits, 1.3, topK, topP, u); got != want {
			t.Fatalf("trial %d: top %d, %v of %d tokens: %d is drawn, not %d", trial, topK, topP, len(logits), got, want)
		}
	}
}

func drawPlainly(logits []float32, temperature float64, topK int, topP, u float64) int32 {
	p := slices.Clone(logits)
	kernel.Softmax(p, float32(1/temperature))
	var order []int32
	for i := range p {
		order = append(order, int32(i))
	}
	if topK > 0 || topP > 0 {
		slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(p[b], p[a]) })
	}
	if topK > 0 {
		order = order[:min(topK, len(order))]
	}
	total, sum := 0.0, 0.0
	for _, token := range order {
		total += float64(p[token])
	}
	if topP > 0 {
		for i, token := range order {
			if sum += float64(p[token]); sum >= topP*total {
				order, total = order[:i+1], sum
				break
			}
		}
	}
	u *= total
	for _, token := range order {
		if u -= float64(p[token]); u < 0 {
			return token
		}
	}
	return order[len(order)-1]
}
