package net

import (
	"math"
	"strings"
)

// reference is the network in float64, one position after the other, without a
// product of matrices: as dumb as can be.
type reference struct {
	shape Shape
	of    map[string][]float64
}

func newReference(p *Params) *reference {
	r := &reference{p.Shape, map[string][]float64{}}
	for _, t := range p.Tensors {
		data := make([]float64, len(t.Data))
		for i, x := range t.Data {
			data[i] = float64(x)
		}
		r.of[t.Name] = data
	}
	return r
}

func (r *reference) linear(name string, x []float64) []float64 {
	w, b := r.of[name], r.of[name+".bias"]
	y := append([]float64(nil), b...)
	for i, v := range x {
		for j := range y {
			y[j] += v * w[i*len(y)+j]
		}
	}
	return y
}

func (r *reference) norm(name string, x []float64) []float64 {
	mean, variance := 0.0, 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = (v-mean)/math.Sqrt(variance+1e-5)*r.of[name+".gain"][i] + r.of[name+".bias"][i]
	}
	return y
}

func softmax(x []float64) []float64 {
	p, sum := make([]float64, len(x)), 0.0
	for i, v := range x {
		p[i] = math.Exp(v - x[0])
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// logits are those at each position of the tokens.
func (r *reference) logits(tokens []int32) [][]float64 {
	s := r.shape
	x := make([][]float64, len(tokens))
	for t, token := range tokens {
		for i := range s.Width {
			x[t] = append(x[t], r.of["embedding.token"][int(token)*s.Width+i]+r.of["embedding.position"][t*s.Width+i])
		}
	}
	for l := range s.Layers {
		block := "block." + string(rune('0'+l)) + "."
		r.attend(block, x)
		for t := range x {
			h := r.linear(block+"mlp.in", r.norm(block+"norm.mlp", x[t]))
			for i, v := range h {
				h[i] = .5 * v * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+.044715*v*v*v)))
			}
			for i, v := range r.linear(block+"mlp.out", h) {
				x[t][i] += v
			}
		}
	}
	head := r.of["embedding.token"]
	if s.Untied {
		head = r.of["head"]
	}
	out := make([][]float64, len(tokens))
	for t := range x {
		y := r.norm("norm.final", x[t])
		for token := range s.Vocab {
			sum := 0.0
			for i, v := range y {
				sum += v * head[token*s.Width+i]
			}
			out[t] = append(out[t], sum)
		}
	}
	return out
}

func (r *reference) attend(block string, x [][]float64) {
	s := r.shape
	d, width := s.Width, s.Width/s.Heads
	var all [][]float64
	for t := range x {
		all = append(all, r.linear(block+"attention.qkv", r.norm(block+"norm.attention", x[t])))
	}
	for t := range x {
		heads := make([]float64, d)
		for h := range s.Heads {
			scores := make([]float64, t+1)
			for u := range scores {
				for i := range width {
					scores[u] += all[t][h*width+i] * all[u][d+h*width+i] / math.Sqrt(float64(width))
				}
			}
			for u, p := range softmax(scores) {
				for i := range width {
					heads[h*width+i] += p * all[u][2*d+h*width+i]
				}
			}
		}
		for i, v := range r.linear(block+"attention.out", heads) {
			x[t][i] += v
		}
	}
}

// loss is the sum over a batch of weight times cross-entropy.
func (r *reference) loss(batch []Sequence) float64 {
	sum := 0.0
	for _, q := range batch {
		for t, z := range r.logits(q.Tokens[:len(q.Tokens)-1]) {
			p := softmax(z)
			if q.Soft == nil {
				sum -= float64(q.Weight[t]) * math.Log(p[q.Tokens[t+1]])
				continue
			}
			rest, left, ce := 1.0, 1.0, 0.0
			for e := t * q.Soft.K; e < (t+1)*q.Soft.K; e++ {
				token := q.Soft.token(e)
				ce -= float64(q.Soft.Prob[e]) * math.Log(p[token])
				rest -= float64(q.Soft.Prob[e])
				left -= p[token]
			}
			if rest > 1e-4 {
				ce -= rest * math.Log(left)
			}
			sum += float64(q.Weight[t]) * ce
		}
	}
	return sum
}

// scramble makes every parameter matter: gains and biases too.
func scramble(p *Params) {
	chance := stream(99, "scramble")
	for _, t := range p.Tensors {
		for i := range t.Data {
			t.Data[i] += float32(chance.NormFloat64()) * .15
			if strings.HasSuffix(t.Name, ".bias") {
				t.Data[i] *= .5
			}
		}
	}
}
