package net

import (
	"math"
	"testing"
)

// someBatch has sequences of several lengths with weights of both signs and zero.
func someBatch(s Shape, soft int) []Sequence {
	chance := stream(7, "batch")
	var batch []Sequence
	for _, n := range []int{s.Context + 1, 2, 5, s.Context / 2} {
		var q Sequence
		for range n {
			q.Tokens = append(q.Tokens, int32(chance.IntN(s.Vocab)))
		}
		for t := range n - 1 {
			q.Weight = append(q.Weight, []float32{1, 0, -.5, .25}[t%4])
		}
		if soft > 0 {
			q.Soft = &Soft{K: soft}
			for range n - 1 {
				for e, token := range chance.Perm(s.Vocab)[:soft] {
					if soft < s.Vocab {
						q.Soft.Tokens = append(q.Soft.Tokens, int32(token))
						q.Soft.Prob = append(q.Soft.Prob, .5/float32(e+1)/2)
					} else {
						q.Soft.Prob = append(q.Soft.Prob, 1/float32(s.Vocab))
					}
				}
			}
		}
		batch = append(batch, q)
	}
	return batch
}

// TestGradientIsThatOfTheReference holds the gradient of every tensor against
// central differences of the float64 network, along its own direction and along
// single parameters.
func TestGradientIsThatOfTheReference(t *testing.T) {
	tied := Shape{Layers: 2, Width: 12, Heads: 3, Hidden: 20, Context: 11, Vocab: 19}
	untied := tied
	untied.Untied = true
	wide := Shape{Layers: 1, Width: 64, Heads: 2, Hidden: 48, Context: 40, Vocab: 33}
	for _, c := range []struct {
		name  string
		shape Shape
		soft  int
	}{
		{"next token", tied, 0}, {"untied", untied, 0}, {"whole distribution", tied, 19}, {"top 3", tied, 3}, {"wide", wide, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := New(c.shape, 5)
			if err != nil {
				t.Fatal(err)
			}
			scramble(p)
			trainer, err := NewTrainer(p, Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			batch := someBatch(c.shape, c.soft)
			loss, err := trainer.Gradient(batch)
			if err != nil {
				t.Fatal(err)
			}
			r := newReference(p)
			if want := r.loss(batch); math.Abs(loss-want) > 1e-5*(1+math.Abs(want)) {
				t.Errorf("the loss is %v, the reference has %v", loss, want)
			}
			for _, w := range p.Tensors {
				checkTensor(t, w.Name, r.of[w.Name], trainer.Grad(w.Name), func() float64 { return r.loss(batch) })
			}
		})
	}
}

// checkTensor compares derivatives of loss in the direction of grad and of a few
// parameters.
func checkTensor(t *testing.T, name string, values []float64, grad []float32, loss func() float64) {
	t.Helper()
	if len(grad) != len(values) {
		t.Fatalf("%s: %d derivatives of %d parameters", name, len(grad), len(values))
	}
	square := 0.0
	for _, g := range grad {
		square += float64(g) * float64(g)
	}
	norm := math.Sqrt(square)
	if norm == 0 || math.IsNaN(norm) {
		t.Errorf("%s: the gradient has a norm of %v", name, norm)
		return
	}
	slope := func(move func(by float64)) float64 {
		const h = 1e-4
		move(h)
		up := loss()
		move(-2 * h)
		down := loss()
		move(h)
		return (up - down) / (2 * h)
	}
	along := slope(func(by float64) {
		for i := range values {
			values[i] += by * float64(grad[i]) / norm
		}
	})
	if math.Abs(along-norm) > 5e-5*norm+1e-6 {
		t.Errorf("%s: the gradient has a norm of %.8g, the slope along it is %.8g", name, norm, along)
	}
	for n := range 4 {
		i := (n*7919 + 13) % len(values)
		one := slope(func(by float64) { values[i] += by })
		if math.Abs(one-float64(grad[i])) > 5e-5*norm+1e-6 {
			t.Errorf("%s: the derivative of parameter %d is %.8g, the slope is %.8g", name, i, grad[i], one)
		}
	}
}

func TestGradientOfAdapters(t *testing.T) {
	s := Shape{Layers: 2, Width: 12, Heads: 3, Hidden: 20, Context: 11, Vocab: 19}
	p, err := New(s, 5)
	if err != nil {
		t.Fatal(err)
	}
	scramble(p)
	base := p.Clone()
	trainer, err := NewTrainer(p, Options{Rank: 3, Alpha: 6, Seed: 4})
	if err != nil {
		t.Fatal(err)
	}
	batch := someBatch(s, 0)
	chance := stream(3, "adapters")
	for _, w := range trainer.adapter.tensors {
		for i := range w.Data {
			w.Data[i] = float32(chance.NormFloat64()) * .1
		}
	}
	trainer.adapter.apply(1)
	if _, err := trainer.Gradient(batch); err != nil {
		t.Fatal(err)
	}
	r := newReference(trainer.adapter.whole)
	for i, id := range trainer.adapter.order {
		w := base.Tensors[id]
		a, b := trainer.adapter.tensors[2*i], trainer.adapter.tensors[2*i+1]
		f := newReference(&Params{Tensors: []Tensor{a, b}})
		loss := func() float64 {
			for i := range w.Rows {
				for j := range w.Cols {
					sum := float64(w.Data[i*w.Cols+j])
					for k := range 3 {
						sum += 2 * f.of[a.Name][i*3+k] * f.of[b.Name][k*w.Cols+j]
					}
					r.of[w.Name][i*w.Cols+j] = sum
				}
			}
			return r.loss(batch)
		}
		loss()
		for j, v := range trainer.adapter.whole.Tensors[id].Data {
			if want := r.of[w.Name][j]; math.Abs(want-float64(v)) > 1e-6 {
				t.Fatalf("%s: W + scale·A·B is %v at %d, not %v", w.Name, v, j, want)
			}
		}
		checkTensor(t, a.Name, f.of[a.Name], trainer.Grad(a.Name), loss)
		checkTensor(t, b.Name, f.of[b.Name], trainer.Grad(b.Name), loss)
	}
}
