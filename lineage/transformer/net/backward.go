package net

import "github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"

// gradient is what chunks of one lane add up to.
type gradient struct {
	view   view
	flat   []float32
	trains func(tensor int) bool
	head   bool // the matrix of the head is trained
	first  bool // nothing was added yet: matrices are overwritten, all else is zero
}

// begin makes a gradient ready for its first chunk without clearing the matrices,
// which are most of it.
func (g *gradient) begin(tied bool) {
	g.first = true
	if !tied || !g.head {
		clear(g.view.token)
	}
	clear(g.view.position)
	for i := range g.view.blocks {
		b := &g.view.blocks[i]
		for j := range b.norms {
			clear(b.norms[j].gain)
			clear(b.norms[j].bias)
		}
		for j := range b.layers {
			clear(b.layers[j].bias)
		}
	}
	clear(g.view.final.gain)
	clear(g.view.final.bias)
}

// backward adds the gradient of a chunk to g, after forward and loss.
func (w *worker) backward(batch []Sequence, c *chunk, g *gradient, drop *dropout) {
	d := w.shape.Width
	for l := len(w.blocks) - 1; l >= 0; l-- {
		w.backwardMLP(l, c, g, drop)
		w.backwardAttention(l, c, g, drop)
	}
	if drop != nil {
		drop.rows(w.dx, d, site{layer: -1})
	}
	for _, s := range c.spans {
		tokens := batch[s.sequence].Tokens
		for t := range s.rows {
			row := w.dx[(s.first+t)*d:][:d]
			kernel.Add(g.view.token[int(tokens[t])*d:], row)
			kernel.Add(g.view.position[t*d:], row)
		}
	}
	g.first = false
}

func (w *worker) backwardMLP(l int, c *chunk, g *gradient, drop *dropout) {
	a := &w.weights.view.blocks[l]
	act := &w.blocks[l]
	dout := w.branch(c, drop, site{l, mlpOut})
	w.backwardLinear(l, mlpOut, w.dhidden, act.active, dout, c.rows, g)
	n := c.rows * w.shape.Hidden
	kernel.GELUGrad(w.dhidden[:n], act.hidden[:n])
	w.backwardLinear(l, mlpIn, w.dnormed, act.normed2, w.dhidden, c.rows, g)
	w.backwardNorm(act.middle, a.norms[1], g.view.blocks[l].norms[1], act.stats[1], c.rows)
}

func (w *worker) backwardAttention(l int, c *chunk, g *gradient, drop *dropout) {
	d := w.shape.Width
	act := &w.blocks[l]
	dout := w.branch(c, drop, site{l, attentionOut})
	w.backwardLinear(l, attentionOut, w.dheads, act.heads, dout, c.rows, g)
	for _, s := range c.spans {
		w.attention.backward(w.shape, w.dqkv[s.first*3*d:], w.dheads[s.first*d:], act.qkv[s.first*3*d:], s.rows)
	}
	w.backwardLinear(l, qkv, w.dnormed, act.normed, w.dqkv, c.rows, g)
	w.backwardNorm(act.x, w.weights.view.blocks[l].norms[0], g.view.blocks[l].norms[0], act.stats[0], c.rows)
}

// branch is the gradient of what a part adds to the residual stream.
func (w *worker) branch(c *chunk, drop *dropout, at site) []float32 {
	if drop == nil {
		return w.dx
	}
	copy(w.dbranch, w.dx[:c.rows*w.shape.Width])
	drop.rows(w.dbranch, w.shape.Width, at)
	return w.dbranch
}

// backwardLinear sets dx to the gradient of x in y = x·W + bias and adds those of
// W and bias to g.
func (w *worker) backwardLinear(l, which int, dx, x, dy []float32, rows int, g *gradient) {
	layer := &g.view.blocks[l].layers[which]
	grad := kernel.Matrix{Data: dy, Row: layer.out, Col: 1}
	kernel.Mul(dx, layer.in, grad, rows, w.weights.blocks[l][which].backward, false)
	for i := range rows {
		kernel.Add(layer.bias, dy[i*layer.out:][:layer.out])
	}
	if g.trains(layer.id) {
		kernel.Prefetch(x[:rows*layer.in])
		w.packed.Pack(grad, rows, layer.out)
		input := kernel.Matrix{Data: x, Row: layer.in, Col: 1}
		kernel.Mul(layer.weight, layer.out, input.T(), layer.in, w.packed, !g.first)
	}
}

// backwardNorm adds to dx what dnormed comes to before the norm.
func (w *worker) backwardNorm(x []float32, n, dn norm, stats []float32, rows int) {
	d := w.shape.Width
	for i := range rows {
		kernel.NormGrad(w.dx[i*d:][:d], w.dnormed[i*d:], x[i*d:], n.gain, dn.gain, dn.bias, stats[2*i], stats[2*i+1])
	}
}
