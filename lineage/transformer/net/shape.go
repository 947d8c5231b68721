package net

import (
	"errors"
	"fmt"
	"math"
)

// Shape is the size of a network.
type Shape struct {
	Layers  int
	Width   int // of the residual stream; a multiple of Heads
	Heads   int
	Hidden  int  // width inside of the MLP
	Context int  // positions
	Vocab   int  // tokens
	Untied  bool // tokens are written with a matrix of their own, not with the one that they are read with
}

// most bounds each size, so that no product of two overflows.
const most = 1 << 24

// Check tells every fault of a shape.
func (s Shape) Check() error {
	var faults []error
	for _, f := range []struct {
		name  string
		value int
	}{
		{"layers", s.Layers}, {"width", s.Width}, {"heads", s.Heads},
		{"hidden", s.Hidden}, {"context", s.Context}, {"vocab", s.Vocab},
	} {
		if f.value < 1 || f.value > most {
			faults = append(faults, fmt.Errorf("%s: %d is not within [1, %d]", f.name, f.value, most))
		}
	}
	if s.Heads > 0 && s.Width%s.Heads != 0 {
		faults = append(faults, fmt.Errorf("heads: %d do not divide the width of %d evenly", s.Heads, s.Width))
	}
	if limit := min(1<<32, math.MaxInt/8); len(faults) == 0 && s.size() > float64(limit) {
		faults = append(faults, fmt.Errorf("%.3g parameters are more than %d: make the network smaller", s.size(), limit))
	}
	return errors.Join(faults...)
}

// size is Parameters without overflow.
func (s Shape) size() float64 {
	w, h := float64(s.Width), float64(s.Hidden)
	tokens := float64(s.Vocab) * w
	if s.Untied {
		tokens *= 2
	}
	return tokens + float64(s.Context)*w + float64(s.Layers)*(4*w*w+2*w*h+9*w+h) + 2*w
}

// Parameters is the number of parameters.
func (s Shape) Parameters() int { return int(s.size()) }

// Tensor is a view of one matrix or vector of parameters, in rows. A matrix of a
// layer has as many rows as the layer has inputs: the layer is x·W + bias. A
// vector has one row.
type Tensor struct {
	Name       string
	Rows, Cols int
	Data       []float32
}

// tensors cuts flat into the tensors of the shape, in the order of a checkpoint.
func (s Shape) tensors(flat []float32) []Tensor {
	var all []Tensor
	add := func(name string, rows, cols int) {
		n := rows * cols
		all = append(all, Tensor{name, rows, cols, flat[:n:n]})
		flat = flat[n:]
	}
	add("embedding.token", s.Vocab, s.Width)
	add("embedding.position", s.Context, s.Width)
	for l := range s.Layers {
		block := fmt.Sprintf("block.%d.", l)
		add(block+"norm.attention.gain", 1, s.Width)
		add(block+"norm.attention.bias", 1, s.Width)
		add(block+"attention.qkv", s.Width, 3*s.Width)
		add(block+"attention.qkv.bias", 1, 3*s.Width)
		add(block+"attention.out", s.Width, s.Width)
		add(block+"attention.out.bias", 1, s.Width)
		add(block+"norm.mlp.gain", 1, s.Width)
		add(block+"norm.mlp.bias", 1, s.Width)
		add(block+"mlp.in", s.Width, s.Hidden)
		add(block+"mlp.in.bias", 1, s.Hidden)
		add(block+"mlp.out", s.Hidden, s.Width)
		add(block+"mlp.out.bias", 1, s.Width)
	}
	add("norm.final.gain", 1, s.Width)
	add("norm.final.bias", 1, s.Width)
	if s.Untied {
		add("head", s.Vocab, s.Width)
	}
	return all
}

// layer is the tensors of one matrix multiplication.
type layer struct {
	weight, bias []float32
	in, out      int
	id           int // of the weight among all tensors; the bias follows
}

// The matrices of a block.
const (
	qkv = iota
	attentionOut
	mlpIn
	mlpOut
	matrices
)

// view is a flat slice of parameters, or of their gradient, by their meaning.
type view struct {
	token, position []float32
	head            []float32 // token where the shape is tied
	final           norm
	blocks          []block
}

type norm struct{ gain, bias []float32 }

type block struct {
	norms  [2]norm // before the attention and before the MLP
	layers [matrices]layer
}

func (s Shape) view(flat []float32) view {
	all := s.tensors(flat)
	v := view{token: all[0].Data, position: all[1].Data, head: all[0].Data}
	at := 2
	pair := func() (a, b Tensor) {
		at += 2
		return all[at-2], all[at-1]
	}
	norms := func() norm {
		a, b := pair()
		return norm{a.Data, b.Data}
	}
	layers := func() layer {
		a, b := pair()
		return layer{a.Data, b.Data, a.Rows, a.Cols, at - 2}
	}
	for range s.Layers {
		var b block
		b.norms[0] = norms()
		b.layers[qkv], b.layers[attentionOut] = layers(), layers()
		b.norms[1] = norms()
		b.layers[mlpIn], b.layers[mlpOut] = layers(), layers()
		v.blocks = append(v.blocks, b)
	}
	v.final = norms()
	if s.Untied {
		v.head = all[at].Data
	}
	return v
}
