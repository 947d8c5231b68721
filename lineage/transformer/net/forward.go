package net

import "github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"

// weights are parameters in the order in which products read them.
type weights struct {
	shape  Shape
	view   view
	blocks [][matrices]packed
	head   packed
}

// packed is a matrix W for x·W and its transpose for the gradient of x. The head
// is stored transposed, so that its forward matrix is the transpose.
type packed struct{ forward, backward kernel.Packed }

func newWeights(p *Params) weights {
	return weights{
		shape: p.Shape, view: p.Shape.view(p.Flat), blocks: make([][matrices]packed, p.Shape.Layers),
	}
}

// pack copies the parameters into panels, for the forward or the backward pass.
func (w *weights) pack(threads int, backward bool) {
	parallel(threads, matrices*w.shape.Layers+1, func(_, i int) {
		if i == 0 {
			e := kernel.Matrix{Data: w.view.head, Row: w.shape.Width, Col: 1}
			if backward {
				w.head.backward.Pack(e, w.shape.Vocab, w.shape.Width)
			} else {
				w.head.forward.Pack(e.T(), w.shape.Width, w.shape.Vocab)
			}
			return
		}
		l, which := (i-1)/matrices, (i-1)%matrices
		layer := w.view.blocks[l].layers[which]
		m := kernel.Matrix{Data: layer.weight, Row: layer.out, Col: 1}
		if backward {
			w.blocks[l][which].backward.Pack(m.T(), layer.out, layer.in)
		} else {
			w.blocks[l][which].forward.Pack(m, layer.in, layer.out)
		}
	})
}

// activations are what a block computes for each of its rows, in the order of the
// forward pass: x comes in; the normed x, queries, keys and values, the heads'
// results; x with the attention added; that normed, and the MLP's hidden layer
// before and after GELU.
type activations struct {
	x, normed, qkv, heads, middle, normed2, hidden, active []float32

	stats [2][]float32 // mean and scale of the two norms at each row
}

func (s Shape) activations(rows int) activations {
	of := func(width int) []float32 { return make([]float32, rows*width) }
	return activations{
		x: of(s.Width), normed: of(s.Width), qkv: of(3 * s.Width), heads: of(s.Width), middle: of(s.Width),
		normed2: of(s.Width), hidden: of(s.Hidden), active: of(s.Hidden), stats: [2][]float32{of(2), of(2)},
	}
}

// embed writes the sum of the embeddings of a token and its position.
func (w *weights) embed(x []float32, token int32, position int) {
	d := w.shape.Width
	copy(x, w.view.token[int(token)*d:][:d])
	kernel.Add(x, w.view.position[position*d:][:d])
}

// block runs rows of a.x through block l into out. attend fills a.heads from
// a.qkv; drop is nil where nothing is dropped.
func (w *weights) block(l int, a *activations, out []float32, rows int, attend func(), drop *dropout) {
	b, d := &w.view.blocks[l], w.shape.Width
	normRows(a.normed, a.x, b.norms[0], a.stats[0], rows)
	w.linear(l, qkv, a.qkv, a.normed, rows)
	attend()
	w.residual(l, attentionOut, a.middle[:rows*d], a.x, a.heads, rows, drop)
	normRows(a.normed2, a.middle, b.norms[1], a.stats[1], rows)
	w.linear(l, mlpIn, a.hidden, a.normed2, rows)
	n := rows * w.shape.Hidden
	kernel.GELU(a.active[:n], a.hidden[:n])
	w.residual(l, mlpOut, out[:rows*d], a.middle, a.active, rows, drop)
}

// linear is y = x·W + bias.
func (w *weights) linear(l, which int, y, x []float32, rows int) {
	layer := &w.view.blocks[l].layers[which]
	for i := range rows {
		copy(y[i*layer.out:], layer.bias)
	}
	kernel.Mul(y, layer.out, kernel.Matrix{Data: x, Row: layer.in, Col: 1}, rows, w.blocks[l][which].forward, true)
}

// residual is y = base + x·W + bias, with elements of x·W + bias dropped.
func (w *weights) residual(l, which int, y, base, x []float32, rows int, drop *dropout) {
	if drop != nil {
		w.linear(l, which, y, x, rows)
		drop.rows(y, w.shape.Width, site{l, which})
		kernel.Add(y, base[:len(y)])
		return
	}
	layer := &w.view.blocks[l].layers[which]
	copy(y, base)
	for i := range rows {
		kernel.Add(y[i*layer.out:], layer.bias)
	}
	kernel.Mul(y, layer.out, kernel.Matrix{Data: x, Row: layer.in, Col: 1}, rows, w.blocks[l][which].forward, true)
}

func normRows(y, x []float32, n norm, stats []float32, rows int) {
	d := len(n.gain)
	for i := range rows {
		stats[2*i], stats[2*i+1] = kernel.Norm(y[i*d:], x[i*d:][:d], n.gain, n.bias)
	}
}
