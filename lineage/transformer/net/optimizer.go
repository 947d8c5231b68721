package net

import (
	"fmt"
	"math"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"
)

// optimizer holds what AdamW remembers of the tensors that are trained, one after
// the other.
type optimizer struct {
	trained []trained
	size    int
	m, v    []float32 // nil before the first step
}

// trained is a tensor and where the optimizer's memory of it begins.
type trained struct {
	Tensor
	index int // among the tensors it was chosen from
	first int
	decay bool
}

func newOptimizer(tensors []Tensor, o Options) optimizer {
	var m optimizer
	for i, t := range tensors {
		if o.Rank > 0 || o.Train(t.Name) {
			decay := t.Rows > 1 && !strings.HasPrefix(t.Name, "embedding.")
			m.trained = append(m.trained, trained{t, i, m.size, decay})
			m.size += len(t.Data)
		}
	}
	return m
}

// Update takes a step of AdamW with a learning rate and begins a new gradient. It
// returns the norm of the gradient before it was clipped. A norm that is no number
// is an error, and then nothing is changed.
func (t *Trainer) Update(rate float64) (norm float64, err error) {
	if !(rate >= 0 && rate < math.MaxFloat32) {
		return 0, fmt.Errorf("step %d: a learning rate of %v", t.steps+1, rate)
	}
	grads := t.gradientsOfTrained()
	norm = math.Sqrt(t.squares(grads))
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm, fmt.Errorf("step %d: the norm of the gradient is %v at a learning rate of %g, it was %.3g a step before: lower the learning rate or warm up longer",
			t.steps+1, norm, rate, t.norm)
	}
	t.steps++
	t.rate, t.norm = rate, norm
	t.step(grads, rate, norm)
	t.fresh, t.packed = true, [2]bool{}
	if t.adapter != nil {
		t.adapter.apply(t.options.Threads)
	}
	return norm, nil
}

// gradientsOfTrained are the gradients of what the optimizer trains, in its order.
func (t *Trainer) gradientsOfTrained() [][]float32 {
	if t.grad == nil {
		t.grad = make([]float32, len(t.params.Flat))
	}
	if t.fresh {
		clear(t.grad)
		t.fresh = false
	}
	all := t.params.Shape.tensors(t.grad)
	if t.adapter != nil {
		all = t.adapter.gradients(all, t.options.Threads)
	}
	grads := make([][]float32, len(t.moment.trained))
	for i, w := range t.moment.trained {
		grads[i] = all[w.index].Data
	}
	return grads
}

// squares adds up pieces of fixed size in their order.
func (t *Trainer) squares(grads [][]float32) float64 {
	sum := 0.0
	for _, g := range grads {
		parts := make([]float64, (len(g)+piece-1)/piece)
		each(t.options.Threads, len(g), func(i, from, to int) { parts[i] = kernel.Squares(g[from:to]) })
		for _, p := range parts {
			sum += p
		}
	}
	return sum
}

func (t *Trainer) step(grads [][]float32, rate, norm float64) {
	o, m := t.options, &t.moment
	if m.m == nil {
		m.m, m.v = make([]float32, m.size), make([]float32, m.size)
	}
	clip := 1.0
	if o.Clip > 0 && norm > o.Clip {
		clip = o.Clip / norm
	}
	n := float64(t.steps)
	with := kernel.Adam{
		Clip: float32(clip), Beta1: float32(o.Beta1), Beta2: float32(o.Beta2), Epsilon: float32(o.Epsilon), Keep: 1,
		Step: float32(rate / (1 - math.Pow(o.Beta1, n))), Root: float32(1 / math.Sqrt(1-math.Pow(o.Beta2, n))),
	}
	for i, w := range m.trained {
		with := with
		if w.decay {
			with.Keep = float32(1 - rate*o.Decay)
		}
		each(o.Threads, len(w.Data), func(_, from, to int) {
			kernel.AdamW(w.Data[from:to], grads[i][from:to], m.m[w.first+from:w.first+to], m.v[w.first+from:w.first+to], with)
		})
	}
}

// Grad is the gradient of a tensor since the last Update, to be read only: of a
// trained tensor, of an adapter, or of a matrix that an adapter stands before. It
// is nil for any other.
func (t *Trainer) Grad(tensor string) []float32 {
	grads := t.gradientsOfTrained()
	for i, w := range t.moment.trained {
		if w.Name == tensor {
			return grads[i]
		}
	}
	for i, w := range t.params.Tensors {
		if w.Name == tensor && t.trains(i) {
			return t.params.Shape.tensors(t.grad)[i].Data
		}
	}
	return nil
}
