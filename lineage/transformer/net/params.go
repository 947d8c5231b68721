package net

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"
)

// Params are the parameters of a network: Tensors are views of Flat, in order.
type Params struct {
	Shape   Shape
	Tensors []Tensor
	Flat    []float32
}

// Zero is a network with all parameters zero, to be filled from a checkpoint. It
// fails where the shape does.
func Zero(s Shape) (*Params, error) {
	if err := s.Check(); err != nil {
		return nil, fmt.Errorf("shape of the network: %w", err)
	}
	if err := kernel.Check(); err != nil {
		return nil, err
	}
	p := &Params{Shape: s, Flat: make([]float32, s.Parameters())}
	p.Tensors = s.tensors(p.Flat)
	return p, nil
}

// New draws parameters as GPT-2 does: N(0, 0.02²), for the two matrices of a block
// that write to the residual stream divided by √(2·Layers); gains are 1, biases
// 0. Each tensor has a stream of its own, keyed by the seed and its name, so that
// networks that differ in one size agree in the tensors that do not have it.
func New(s Shape, seed uint64) (*Params, error) {
	p, err := Zero(s)
	if err != nil {
		return nil, err
	}
	for _, t := range p.Tensors {
		switch {
		case strings.HasSuffix(t.Name, ".gain"):
			for i := range t.Data {
				t.Data[i] = 1
			}
		case strings.HasSuffix(t.Name, ".bias"):
		case strings.HasSuffix(t.Name, ".out"):
			gaussian(t.Data, 0.02/math.Sqrt(float64(2*s.Layers)), seed, t.Name)
		default:
			gaussian(t.Data, 0.02, seed, t.Name)
		}
	}
	return p, nil
}

func gaussian(data []float32, deviation float64, seed uint64, name string) {
	chance := stream(seed, name)
	for i := range data {
		data[i] = float32(chance.NormFloat64() * deviation)
	}
}

// stream is the source of chance for one purpose.
func stream(seed uint64, purpose string) *rand.Rand {
	key := binary.LittleEndian.AppendUint64(nil, seed)
	return rand.New(rand.NewChaCha8(sha256.Sum256(append(key, purpose...))))
}

// Clone is a copy that shares nothing.
func (p *Params) Clone() *Params {
	c := &Params{Shape: p.Shape, Flat: append([]float32(nil), p.Flat...)}
	c.Tensors = c.Shape.tensors(c.Flat)
	return c
}

// Tensor is the tensor of a name, or nil.
func (p *Params) Tensor(name string) *Tensor {
	for i := range p.Tensors {
		if p.Tensors[i].Name == name {
			return &p.Tensors[i]
		}
	}
	return nil
}
