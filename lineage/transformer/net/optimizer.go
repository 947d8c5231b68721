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
	pieces  []pieceOf
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

// pieceOf is a part of a trained tensor that one thread works at.
type pieceOf struct{ trained, from, to int }

func newOptimizer(tensors []Tensor, o Options) optimizer {
	var m optimizer
	for i, t := range tensors {
		if o.Rank == 0 && !o.Train(t.Name) {
			continue
		}
		for from := 0; from < len(t.Data); from += piece {
			m.pieces = append(m.pieces, pieceOf{len(m.trained), from, min(from+piece, len(t.Data))})
		}
		decay := t.Rows > 1 && !strings.HasPrefix(t.Name, "embedding.")
		m.trained = append(m.trained, trained{t, i, m.size, decay})
		m.size += len(t.Data)
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

// gradientsOfTrained are the gradients of what the optimizer trains, by their
// place among what it was chosen from.
func (t *Trainer) gradientsOfTrained() []Tensor {
	t.openGradient()
	if t.fresh {
		clear(t.grad)
		t.fresh = false
	}
	if t.adapter != nil {
		return t.adapter.gradients(t.grads, t.options.Threads)
	}
	return t.grads
}

// squares adds up pieces of fixed size in their order.
func (t *Trainer) squares(grads []Tensor) float64 {
	m := &t.moment
	parts := make([]float64, len(m.pieces))
	parallel(t.options.Threads, len(parts), func(_, i int) {
		p := m.pieces[i]
		parts[i] = kernel.Squares(grads[m.trained[p.trained].index].Data[p.from:p.to])
	})
	sum := 0.0
	for _, p := range parts {
		sum += p
	}
	return sum
}

func (t *Trainer) step(grads []Tensor, rate, norm float64) {
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
	parallel(o.Threads, len(m.pieces), func(_, i int) {
		p, with := m.pieces[i], with
		w := m.trained[p.trained]
		if w.decay {
			with.Keep = float32(1 - rate*o.Decay)
		}
		kernel.AdamW(w.Data[p.from:p.to], grads[w.index].Data[p.from:p.to],
			m.m[w.first+p.from:w.first+p.to], m.v[w.first+p.from:w.first+p.to], with)
	})
}

// Grad is the gradient of a tensor since the last Update, to be read only: of a
// trained tensor, of an adapter, or of a matrix that an adapter stands before. It
// is nil for any other.
func (t *Trainer) Grad(tensor string) []float32 {
	grads := t.gradientsOfTrained()
	for _, w := range t.moment.trained {
		if w.Name == tensor {
			return grads[w.index].Data
		}
	}
	for i, w := range t.params.Tensors {
		if w.Name == tensor && t.trains(i) {
			return t.grads[i].Data
		}
	}
	return nil
}
