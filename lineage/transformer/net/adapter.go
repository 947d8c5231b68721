package net

import (
	"math"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"
)

// adapter is one low-rank matrix A·B for each adapted matrix W. The network runs
// on W + scale·A·B, which is worked out after each step, and the gradient of that
// sum gives those of A and B by the chain rule: scale·G·Bᵀ and scale·Aᵀ·G. That is
// what two more products in every layer would give.
type adapter struct {
	base, whole *Params // without and with the adapters
	tensors     []Tensor
	grads       []Tensor
	of          map[int]*low // by the tensor of base
	order       []int
	scale       float32
	rank        int
}

// low is the two factors and where they are among the adapter's tensors.
type low struct {
	a, b  []float32
	index int
}

func newAdapter(p *Params, o Options) *adapter {
	ad := &adapter{
		base: p, whole: p.Clone(), of: map[int]*low{}, rank: o.Rank, scale: float32(o.Alpha / float64(o.Rank)),
	}
	for _, b := range p.Shape.view(p.Flat).blocks {
		for _, layer := range b.layers {
			w := p.Tensors[layer.id]
			if !o.Train(w.Name) {
				continue
			}
			a := Tensor{w.Name + ".a", w.Rows, o.Rank, make([]float32, w.Rows*o.Rank)}
			b := Tensor{w.Name + ".b", o.Rank, w.Cols, make([]float32, o.Rank*w.Cols)}
			// The variance that the authors' code starts with; B is 0.
			gaussian(a.Data, 1/math.Sqrt(3*float64(w.Rows)), o.Seed, a.Name)
			ad.of[layer.id] = &low{a.Data, b.Data, len(ad.tensors)}
			ad.order = append(ad.order, layer.id)
			ad.tensors = append(ad.tensors, a, b)
			a.Data, b.Data = make([]float32, len(a.Data)), make([]float32, len(b.Data))
			ad.grads = append(ad.grads, a, b)
		}
	}
	return ad
}

// apply works out W + scale·A·B.
func (ad *adapter) apply(threads int) {
	parallel(threads, len(ad.order), func(_, i int) {
		id := ad.order[i]
		f, w, base := ad.of[id], ad.whole.Tensors[id], ad.base.Tensors[id]
		var b kernel.Packed
		b.Pack(kernel.Matrix{Data: f.b, Row: w.Cols, Col: 1}, ad.rank, w.Cols)
		kernel.Mul(w.Data, w.Cols, kernel.Matrix{Data: f.a, Row: ad.rank, Col: 1}, w.Rows, b, false)
		kernel.Scale(w.Data, ad.scale)
		kernel.Add(w.Data, base.Data)
	})
}

// gradients works out the gradients of the factors from those of the sums.
func (ad *adapter) gradients(whole []Tensor, threads int) []Tensor {
	parallel(threads, len(ad.order), func(_, i int) {
		id := ad.order[i]
		f, g := ad.of[id], whole[id]
		da, db := ad.grads[f.index].Data, ad.grads[f.index+1].Data
		var p kernel.Packed
		p.Pack(kernel.Matrix{Data: f.b, Row: g.Cols, Col: 1}.T(), g.Cols, ad.rank)
		kernel.Mul(da, ad.rank, kernel.Matrix{Data: g.Data, Row: g.Cols, Col: 1}, g.Rows, p, false)
		p.Pack(kernel.Matrix{Data: g.Data, Row: g.Cols, Col: 1}, g.Rows, g.Cols)
		kernel.Mul(db, g.Cols, kernel.Matrix{Data: f.a, Row: ad.rank, Col: 1}.T(), ad.rank, p, false)
		kernel.Scale(da, ad.scale)
		kernel.Scale(db, ad.scale)
	})
	return ad.grads
}
