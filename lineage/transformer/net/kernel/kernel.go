// Package kernel computes the inner loops of a transformer in float32: products
// of matrices, softmax, layer norm, GELU and AdamW.
//
// There are three sets of kernels: "avx512" and "avx2", generated assembly, and
// "go", plain Go for every other processor. The best one that the processor has
// is chosen at the start; the environment variable HEIRLOOM_KERNEL chooses
// another, for tests and comparisons.
//
// avx512 and avx2 give the same bits: every element of a product is summed over
// k in ascending order with fused multiply-add, every sum over a row runs in 16
// lanes that are folded in one order, and both evaluate the same polynomials.
// The plain set rounds each product before it is added, so its last bits differ.
//
// Slices may be longer than needed; a slice that is too short is a panic.
package kernel

import (
	"fmt"
	"os"
	"strings"
)

// Lanes is the number of partial sums of every sum over a row.
const Lanes = 16

// set is one implementation of the inner loops. Slices are not empty.
type set struct {
	name string
	same string // sets of the same name give the same bits

	cols int // of a panel
	tile func(t tile)

	softmax     func(x []float32, scale float32) (top, sum float32)
	softmaxGrad func(dx, p []float32, scale float32)
	norm        func(y, x, gain, bias []float32) (mean, scale float32)
	normGrad    func(dx, dy, x, gain, dgain, dbias []float32, mean, scale float32)
	gelu        func(y, x []float32)
	geluGrad    func(dx, x []float32)
	add         func(y, x []float32)
	scale       func(x []float32, a float32)
	squares     func(x []float32) float64
	adam        func(p, g, m, v []float32, s *Adam)
}

// active is what everything is computed with; fault is what was wrong with the
// choice of it.
var active, fault = choose(os.Getenv("HEIRLOOM_KERNEL"))

func choose(name string) (*set, error) {
	all := available()
	var known []string
	for _, s := range all {
		if s.name == name || name == "" {
			return s, nil
		}
		known = append(known, s.name)
	}
	return all[0], fmt.Errorf("HEIRLOOM_KERNEL: there are no kernels %q for this processor; choose of %s", name, strings.Join(known, ", "))
}

// Check fails where HEIRLOOM_KERNEL names a set of kernels that cannot run here.
func Check() error { return fault }

// Use makes a set of kernels the active one, for tests: nothing may compute
// meanwhile.
func Use(name string) error {
	s, err := choose(name)
	if err == nil {
		active = s
	}
	return err
}

// Names are the sets of kernels that can run here, the fastest first.
func Names() []string {
	var names []string
	for _, s := range available() {
		names = append(names, s.name)
	}
	return names
}

// Name is the active set of kernels.
func Name() string { return active.name }

// Arithmetic names the sets of kernels that give the same bits as the active
// one: "fma" for avx512 and avx2, "go-" and the architecture for plain Go.
func Arithmetic() string { return active.same }
