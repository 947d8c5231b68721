package net

import (
	"sync"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"
)

// drawing is the memory of one call of Draw.
type drawing struct {
	p, left []float32
	order   []int32
}

var drawings = sync.Pool{New: func() any { return new(drawing) }}

// Draw chooses a token: among the topK most probable ones (0: all), of those the
// most probable ones that have topP of the probability together (0 or 1: all;
// nucleus sampling, Holtzman et al. 2020), by u in [0, 1). The logits are divided
// by the temperature; at 0 the first of the most probable tokens is taken. Of logits
// that are no numbers it takes token 0.
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
	if topK > 0 {
		d.order = largest(d.order, d.p, topK)
	} else {
		d.nucleus(topP)
	}
	if len(d.order) == 0 {
		return 0
	}
	// The probabilities of what is left, the most probable first.
	left := d.left[:0]
	total, sum := 0.0, 0.0
	if topK > 0 {
		for _, token := range d.order {
			total += float64(d.p[token])
		}
	} else {
		total = 1
	}
	for _, token := range d.order {
		left = append(left, d.p[token])
		if sum += float64(d.p[token]); topP > 0 && topP < 1 && sum >= topP*total {
			break
		}
	}
	d.left = left
	return d.order[pick(left, u*sum)]
}

// nucleus orders the tokens that can be among those of topP of the probability: all
// that are less probable than (1 − topP)/n come to less than what may be left out.
func (d *drawing) nucleus(topP float64) {
	least := float32(.99 * (1 - topP) / float64(len(d.p)))
	d.order = d.order[:0]
	for i, p := range d.p {
		if p >= least {
			d.order = append(d.order, int32(i))
		}
	}
	descend(d.order, d.p)
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
