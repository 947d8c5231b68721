package net

import (
	"fmt"
	"math"
	"slices"
)

// Sequence is a text to learn from or to score. Position t sees Tokens[:t+1] and
// predicts Tokens[t+1].
type Sequence struct {
	Tokens []int32   // 2 to Context+1
	Weight []float32 // of the loss at each position, len(Tokens)−1; 0: not learned; may be negative
	Soft   *Soft     // nil: the target is the next token; else a distribution at each position
}

func (q *Sequence) learned() bool {
	return slices.ContainsFunc(q.Weight, func(w float32) bool { return w != 0 })
}

// Soft is a distribution over the next token at each of a sequence's positions.
// Position t has entries t·K to (t+1)·K. What they lack to 1 is the probability of
// all other tokens together, of which nothing more is known.
type Soft struct {
	K      int
	Tokens []int32   // distinct at each position; nil: all tokens in order, K = Vocab
	Prob   []float32 // as long as Tokens
}

// token is what entry e is about.
func (s *Soft) token(e int) int {
	if s.Tokens == nil {
		return e % s.K
	}
	return int(s.Tokens[e])
}

// Entropy is −Σ p·log p at a position in nats, the rest as one more outcome. The
// cross-entropy that Gradient returns is never less.
func (s *Soft) Entropy(position int) float64 {
	rest, sum := 1.0, 0.0
	for _, p := range s.Prob[position*s.K:][:s.K] {
		rest -= float64(p)
		if p > 0 {
			sum -= float64(p) * math.Log(float64(p))
		}
	}
	if rest > softSlack {
		sum -= rest * math.Log(rest)
	}
	return sum
}

// softSlack is how far the probabilities of a position may be off 1 by rounding.
const softSlack = 1e-5

func (s Shape) checkBatch(batch []Sequence, weighted bool) error {
	for i := range batch {
		if err := s.checkSequence(&batch[i], weighted); err != nil {
			return fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	return nil
}

func (s Shape) checkSequence(q *Sequence, weighted bool) error {
	if n := len(q.Tokens); n < 2 || n > s.Context+1 {
		return fmt.Errorf("%d tokens are not within [2, %d], which the context of %d allows", n, s.Context+1, s.Context)
	}
	for t, token := range q.Tokens {
		if token < 0 || int(token) >= s.Vocab {
			return fmt.Errorf("token %d is %d, which is not within [0, %d)", t, token, s.Vocab)
		}
	}
	if !weighted {
		return nil
	}
	if len(q.Weight) != len(q.Tokens)-1 {
		return fmt.Errorf("%d weights for %d positions: there must be one each", len(q.Weight), len(q.Tokens)-1)
	}
	for t, w := range q.Weight {
		if math.IsNaN(float64(w)) || math.IsInf(float64(w), 0) {
			return fmt.Errorf("weight %d is %v", t, w)
		}
	}
	if q.Soft == nil {
		return nil
	}
	return s.checkSoft(q.Soft, len(q.Weight))
}

func (s Shape) checkSoft(f *Soft, positions int) error {
	n := positions * f.K
	switch {
	case f.K < 1 || f.K > s.Vocab:
		return fmt.Errorf("soft.K: %d is not within [1, %d]", f.K, s.Vocab)
	case f.Tokens == nil && f.K != s.Vocab:
		return fmt.Errorf("soft.Tokens: without them K must be the vocabulary of %d, it is %d", s.Vocab, f.K)
	case f.Tokens != nil && len(f.Tokens) != n || len(f.Prob) != n:
		return fmt.Errorf("soft: %d tokens and %d probabilities for %d positions of %d", len(f.Tokens), len(f.Prob), positions, f.K)
	}
	for t := range positions {
		sum := 0.0
		for e := t * f.K; e < (t+1)*f.K; e++ {
			if token := f.token(e); token < 0 || token >= s.Vocab {
				return fmt.Errorf("soft: token %d at position %d is not within [0, %d)", token, t, s.Vocab)
			}
			if !(f.Prob[e] >= 0) {
				return fmt.Errorf("soft: probability %v at position %d", f.Prob[e], t)
			}
			sum += float64(f.Prob[e])
		}
		if sum > 1+1e-3 {
			return fmt.Errorf("soft: the probabilities at position %d add up to %v", t, sum)
		}
	}
	return nil
}
