package net

import (
	"sync"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"
)

// drawing is the memory of one call of Draw.
type drawing struct {
	p     []float32
	order []int32
}

var drawings = sync.Pool{New: func() any { return new(drawing) }}

// Draw chooses a token: among the topK most probable ones (0: all), of those the
// most probable ones that have topP of the probability together (0 or 1: all;
// nucleus sampling, Holtzman et al. 2020), by u in [0, 1). The logits are divided
// by the temperature; at 0 the first of the most probable tokens is taken.
func Draw(logits []float32, temperature float64, topK int, topP float64, u float64) int32 {
	if temperature <= 0 {
		best := 0
		for i, z := range logits {
			if z > logits[best] {
				best = i
			}
		}
		return int32(best)
	}
	d := drawings.Get().(*drawing)
	defer drawings.Put(d)
	d.p = append(d.p[:0], logits...)
	kernel.Softmax(d.p, float32(1/temperature))
	if topK <= 0 && (topP <= 0 || topP >= 1) {
		return int32(pick(d.p, u))
	}
	d.order = ranked(d.order, d.p)
	if topK > 0 {
		d.order = d.order[:min(topK, len(d.order))]
	}
	// The probabilities of what is left, the most probable first.
	left := make([]float32, 0, len(d.order))
	total, sum := 0.0, 0.0
	for _, token := range d.order {
		total += float64(d.p[token])
	}
	for _, token := range d.order {
		left = append(left, d.p[token])
		if sum += float64(d.p[token]); topP > 0 && topP < 1 && sum >= topP*total {
			break
		}
	}
	return d.order[pick(left, u*sum)]
}

// pick is where the sum of p passes u; by rounding it may not, then it is the last
// that is not 0.
func pick(p []float32, u float64) int {
	for i, q := range p {
		if u -= float64(q); u < 0 {
			return i
		}
	}
	for i := len(p) - 1; i > 0; i-- {
		if p[i] > 0 {
			return i
		}
	}
	return 0
}
