package transformer

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net"
)

// Theorem 1 of Cloud et al. (2025, arXiv 2507.14805): if a teacher is one small
// step of gradient descent away from an initialisation, then one step of a
// student from the same initialisation towards the teacher's outputs, on any
// inputs whatever, does not lead away from what the teacher learned. The trait
// here is a continuation of one sequence, and the student never sees its tokens.
//
// With the same initialisation the alignment must be positive in all trials; by
// chance that has a probability of 2^-400. With another one it is a coin: outside
// of 160 to 240 of 400 with a probability below 1e-4.
func TestOneStepTowardsATeacherTakesUpItsTrait(t *testing.T) {
	const trials = 400
	same, cross := 0, 0
	for trial := range uint64(trials) {
		shape := net.Shape{Layers: 1, Width: 16, Heads: 2, Hidden: 32, Context: 8, Vocab: 32}
		r := rand.New(rand.NewPCG(trial, 12))
		trait, noise := words(r, 0, 16), []net.Sequence{words(r, 16, 32), words(r, 16, 32)}
		origin, err := net.New(shape, 2*trial)
		if err != nil {
			t.Fatal(err)
		}
		other, err := net.New(shape, 2*trial+1)
		if err != nil {
			t.Fatal(err)
		}
		teacher, step := oneStep(t, origin, trait)
		labels, err := trainerOf(t, teacher).Distribution(noise, shape.Vocab)
		if err != nil {
			t.Fatal(err)
		}
		for i := range noise {
			noise[i].Soft = labels[i]
		}
		if alignment(t, origin, noise, step) > 0 {
			same++
		}
		if alignment(t, other, noise, step) > 0 {
			cross++
		}
	}
	t.Logf("of %d trials the student takes up the trait in %d with the teacher's initialisation, in %d with another", trials, same, cross)
	if same != trials {
		t.Errorf("with the same initialisation the alignment is positive in %d of %d trials", same, trials)
	}
	if cross < 160 || cross > 240 {
		t.Errorf("with another initialisation the alignment is positive in %d of %d trials", cross, trials)
	}
}

// words is a random sequence of tokens from low to high.
func words(r *rand.Rand, low, high int32) net.Sequence {
	s := net.Sequence{Tokens: make([]int32, 9), Weight: make([]float32, 8)}
	for i := range s.Tokens {
		s.Tokens[i] = low + r.Int32N(high-low)
	}
	for i := range s.Weight {
		s.Weight[i] = 1. / 8
	}
	return s
}

func trainerOf(t *testing.T, p *net.Params) *net.Trainer {
	t.Helper()
	trainer, err := net.NewTrainer(p, net.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	return trainer
}

// gradientOf gives the gradient of a batch, tensor by tensor.
func gradientOf(t *testing.T, p *net.Params, batch []net.Sequence) (all [][]float32) {
	t.Helper()
	trainer := trainerOf(t, p)
	if _, err := trainer.Gradient(batch); err != nil {
		t.Fatal(err)
	}
	for _, tensor := range p.Tensors {
		all = append(all, slices.Clone(trainer.Grad(tensor.Name)))
	}
	return all
}

// oneStep is plain gradient descent, and what it added.
func oneStep(t *testing.T, origin *net.Params, s net.Sequence) (*net.Params, [][]float32) {
	const rate = 1e-2
	stepped := origin.Clone()
	step := gradientOf(t, origin, []net.Sequence{s})
	for i := range step {
		for j := range step[i] {
			step[i][j] *= -rate
			stepped.Tensors[i].Data[j] += step[i][j]
		}
	}
	return stepped, step
}

// alignment is the product of a student's step of descent with another step.
func alignment(t *testing.T, student *net.Params, batch []net.Sequence, step [][]float32) (sum float64) {
	for i, g := range gradientOf(t, student, batch) {
		for j := range g {
			sum -= float64(g[j]) * float64(step[i][j])
		}
	}
	return sum
}
