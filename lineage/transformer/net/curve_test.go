package net

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
)

// TestCurveIsThatOfPyTorch trains as testdata/curve.py does, which wrote down the
// losses and norms that PyTorch gets in float64.
func TestCurveIsThatOfPyTorch(t *testing.T) {
	var want struct{ Losses, Norms []float64 }
	data, err := os.ReadFile("testdata/curve.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	s := Shape{Layers: 2, Width: 24, Heads: 3, Hidden: 40, Context: 17, Vocab: 29}
	p, err := Zero(s)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range p.Tensors {
		for j := range w.Data {
			x := .2 * math.Sin(1.3*float64(j)+.7*float64(i)+.001*float64(j*j))
			if strings.HasSuffix(w.Name, ".gain") {
				x++
			}
			w.Data[j] = float32(x)
		}
	}
	trainer, err := NewTrainer(p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	const sequences = 6
	for step := range want.Losses {
		batch := make([]Sequence, sequences)
		for i := range batch {
			for j := range s.Context + 1 {
				batch[i].Tokens = append(batch[i].Tokens, int32((7*i+3*j+(j*j*(i+step))%5)%s.Vocab))
			}
			for j := range s.Context {
				w := float32(0)
				if (i+j)%4 != 0 {
					w = 1 / float32(sequences*s.Context)
				}
				batch[i].Weight = append(batch[i].Weight, w)
			}
		}
		loss, err := trainer.Gradient(batch)
		if err != nil {
			t.Fatal(err)
		}
		norm, err := trainer.Update(.01)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(loss-want.Losses[step]) > 1e-4*want.Losses[step] || math.Abs(norm-want.Norms[step]) > 1e-3*want.Norms[step] {
			t.Fatalf("step %d has a loss of %.8f and a norm of %.8f, PyTorch %.8f and %.8f", step, loss, norm, want.Losses[step], want.Norms[step])
		}
	}
}
