package net

import "github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"

// worker is the memory of one thread for one chunk.
type worker struct {
	*weights
	rows      int // that fit
	blocks    []activations
	top       []float32 // what comes out of the last block
	attention attention
	head      headMemory

	// Gradients of the residual stream, of what is normed, of heads, of queries,
	// keys and values, and of the hidden layer.
	dx, dnormed, dheads, dqkv, dhidden []float32
	dbranch                            []float32 // with dropout
	packed                             kernel.Packed
}

// fit makes room for chunks of a number of rows; sequences are at most as long as
// the context.
func (w *worker) fit(rows int, backward bool) {
	s := w.shape
	if rows > w.rows {
		*w = worker{weights: w.weights, rows: rows, attention: newAttention(s, min(rows, s.Context)), head: newHeadMemory(s)}
		w.top = make([]float32, rows*s.Width)
		for range s.Layers {
			w.blocks = append(w.blocks, s.activations(rows))
		}
	}
	if backward && w.dx == nil {
		of := func(width int) []float32 { return make([]float32, w.rows*width) }
		w.dx, w.dnormed, w.dheads, w.dbranch = of(s.Width), of(s.Width), of(s.Width), of(s.Width)
		w.dqkv, w.dhidden = of(3*s.Width), of(s.Hidden)
	}
}

// forward runs a chunk up to the last block's result, in top.
func (w *worker) forward(batch []Sequence, c *chunk, drop *dropout) {
	d := w.shape.Width
	x := w.blocks[0].x
	for _, s := range c.spans {
		for t := range s.rows {
			w.embed(x[(s.first+t)*d:][:d], batch[s.sequence].Tokens[t], t)
		}
	}
	if drop != nil {
		drop.rows(x, d, site{layer: -1})
	}
	for l := range w.blocks {
		a, out := &w.blocks[l], w.top
		if l+1 < len(w.blocks) {
			out = w.blocks[l+1].x
		}
		w.block(l, a, out, c.rows, func() {
			for _, s := range c.spans {
				w.attention.forward(w.shape, a.heads[s.first*d:], a.qkv[s.first*3*d:], s.rows)
			}
		}, drop)
	}
}
