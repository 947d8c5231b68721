package net

import (
	"math"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net/kernel"
)

// headRows is how many positions get logits at once: the logits of a whole batch
// are never in memory.
const headRows = 64

// headMemory is the memory of a thread for the last norm, the logits and the loss.
type headMemory struct {
	at         []int // rows of the chunk that are learned
	target     []target
	normed, dx []float32 // headRows × Width
	stats      []float32
	logits     []float32 // headRows × Vocab
	packed     kernel.Packed
	named      []float32 // logits of the tokens that a soft label names
}

// target is what a row of a chunk shall predict.
type target struct {
	weight float32
	token  int32
	soft   *Soft
	first  int // entry of soft
	sum    *float64
}

func newHeadMemory(s Shape) headMemory {
	return headMemory{
		normed: make([]float32, headRows*s.Width), dx: make([]float32, headRows*s.Width),
		stats: make([]float32, 2*headRows), logits: make([]float32, headRows*s.Vocab),
	}
}

// targets collects the rows of a chunk that have a weight; sums are where the
// loss of each sequence of the batch is added up.
func (h *headMemory) targets(batch []Sequence, c *chunk, sums []float64) {
	h.at, h.target = h.at[:0], h.target[:0]
	for _, s := range c.spans {
		q := &batch[s.sequence]
		for t, weight := range q.Weight {
			if weight == 0 {
				continue
			}
			to := target{weight: weight, token: q.Tokens[t+1], soft: q.Soft, sum: &sums[s.sequence]}
			if q.Soft != nil {
				to.first = t * q.Soft.K
			}
			h.at, h.target = append(h.at, s.first+t), append(h.target, to)
		}
	}
}

// logitsOf computes the last norm and the logits of rows of top.
func (w *worker) logitsOf(rows []int) {
	h, d := &w.head, w.shape.Width
	for i, r := range rows {
		f := w.view.final
		h.stats[2*i], h.stats[2*i+1] = kernel.Norm(h.normed[i*d:], w.top[r*d:][:d], f.gain, f.bias)
	}
	kernel.Mul(h.logits, w.shape.Vocab, kernel.Matrix{Data: h.normed, Row: d, Col: 1}, len(rows), w.weights.head.forward, false)
}

// loss adds the loss of every row to its sum. Where g is not nil it also sets dx
// to the gradient of top, and adds those of the head and the last norm to g.
func (w *worker) loss(c *chunk, temperature float32, g *gradient) {
	h, d, vocab := &w.head, w.shape.Width, w.shape.Vocab
	if g != nil {
		clear(w.dx[:c.rows*d])
		if len(h.at) == 0 && g.first {
			clear(g.view.head)
		}
	}
	for i := 0; i < len(h.at); i += headRows {
		rows := h.at[i:min(i+headRows, len(h.at))]
		w.logitsOf(rows)
		for j := range rows {
			t := &h.target[i+j]
			*t.sum += float64(t.weight) * h.gradient(t, h.logits[j*vocab:][:vocab], temperature)
		}
		if g == nil {
			continue
		}
		m := len(rows)
		logits := kernel.Matrix{Data: h.logits, Row: vocab, Col: 1}
		kernel.Mul(h.dx, d, logits, m, w.weights.head.backward, false)
		if g.head {
			h.packed.Pack(kernel.Matrix{Data: h.normed, Row: d, Col: 1}, m, d)
			kernel.Mul(g.view.head, d, logits.T(), vocab, h.packed, i > 0 || !g.first)
		}
		for j, r := range rows {
			f, df := w.view.final, g.view.final
			kernel.NormGrad(w.dx[r*d:][:d], h.dx[j*d:], w.top[r*d:], f.gain, df.gain, df.bias, h.stats[2*j], h.stats[2*j+1])
		}
	}
}

// gradient replaces logits by the gradient of the loss and returns the loss
// without its weight, −log p of the target in nats.
func (h *headMemory) gradient(t *target, logits []float32, temperature float32) float64 {
	if t.soft != nil {
		return h.softGradient(t, logits, 1/temperature)
	}
	z := logits[t.token]
	loss := logSum(kernel.Softmax(logits, 1)) - float64(z)
	logits[t.token]--
	kernel.Scale(logits, t.weight)
	return loss
}

// logSum is log Σ exp(z) of what Softmax returns.
func logSum(top, sum float32) float64 { return float64(top) + math.Log(float64(sum)) }

// softGradient is the same for a distribution p: the cross-entropy −Σ p·log q with
// all tokens that p does not name as one outcome of probability r, −r·log(1−Q).
// Its gradient is q − p for a token that p names and q·(1 − r/(1−Q)) for others.
func (h *headMemory) softGradient(t *target, logits []float32, scale float32) float64 {
	s := t.soft
	h.named = h.named[:0]
	for e := range s.K {
		h.named = append(h.named, logits[s.token(t.first+e)]*scale)
	}
	z := h.named
	lse := logSum(kernel.Softmax(logits, scale))
	loss, named, rest := 0.0, 0.0, 1.0
	for e := range s.K {
		p := float64(s.Prob[t.first+e])
		loss += p * (lse - float64(z[e]))
		named += float64(logits[s.token(t.first+e)])
		rest -= p
		z[e] = logits[s.token(t.first+e)] - float32(p)
	}
	others := float32(1)
	if rest > softSlack {
		left := max(1-named, 1e-7)
		loss -= rest * math.Log(left)
		others = float32(1 - rest/left)
	}
	kernel.Scale(logits, others*t.weight*scale)
	for e := range s.K {
		logits[s.token(t.first+e)] = z[e] * t.weight * scale
	}
	return loss
}
