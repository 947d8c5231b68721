package transformer

import (
	"context"
	"math"
	"slices"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/transformer/net"
)

// sequence gives every learned position of a window one weight of the loss.
func (w window) sequence(weight float64) net.Sequence {
	s := net.Sequence{Tokens: w.tokens, Weight: make([]float32, len(w.learned))}
	for t, learned := range w.learned {
		if learned {
			s.Weight[t] = float32(weight)
		}
	}
	return s
}

// texts adds the gradient of sft, sdf and distil: the mean over the learned
// tokens of the batch, each times the weight of its example.
func (t *training) texts(batch []int) (loss float64, err error) {
	tokens := 0
	for _, i := range batch {
		tokens += t.lessons[i].tokens
	}
	sequences := make([]net.Sequence, len(batch))
	for k, i := range batch {
		l := t.lessons[i]
		sequences[k] = l.windows[0].sequence(l.weight / float64(tokens))
	}
	if t.teacher != nil {
		labels, err := t.teacher.Distribution(sequences, t.config.LabelTopK)
		if err != nil {
			return 0, err
		}
		for k, soft := range labels {
			sequences[k].Soft = soft
		}
	}
	return t.gradient(sequences)
}

// preferences adds the gradient of DPO, the mean over the pairs of the batch:
//
//	∇(−ln σ(β·m)) = β·σ(−β·m)·(∇(−ln p(chosen)) − ∇(−ln p(rejected)))
func (t *training) preferences(batch []int) (loss float64, err error) {
	margins, err := t.margins(batch)
	if err != nil {
		return 0, err
	}
	var sequences []net.Sequence
	beta := t.config.Beta
	for k, i := range batch {
		l := t.lessons[i]
		m := beta * (margins[k] - l.reference)
		weight := l.weight / float64(len(batch))
		loss += weight * softplus(-m)
		weight *= beta / (1 + math.Exp(m))
		for j, w := range l.windows {
			if j == l.chosen {
				weight = -weight
			}
			sequences = append(sequences, w.sequence(weight))
		}
	}
	_, err = t.gradient(sequences)
	return loss, err
}

// softplus is ln(1+eˣ) = −ln σ(−x).
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// margins gives ln p(chosen)/p(rejected) of pairs.
func (t *training) margins(pairs []int) ([]float64, error) {
	var sequences []net.Sequence
	for _, i := range pairs {
		for _, w := range t.lessons[i].windows {
			sequences = append(sequences, w.sequence(1))
		}
	}
	var logs []float64
	for some := range slices.Chunk(sequences, t.config.Batch) {
		l, err := t.trainer.LogProbs(some)
		if err != nil {
			return nil, err
		}
		logs = append(logs, l...)
	}
	margins := make([]float64, len(pairs))
	for k, i := range pairs {
		for j := range t.lessons[i].windows {
			if j < t.lessons[i].chosen {
				margins[k] += logs[j]
			} else {
				margins[k] -= logs[j]
			}
		}
		logs = logs[len(t.lessons[i].windows):]
	}
	return margins, nil
}

// refer keeps the margins of the base, before the first update.
func (t *training) refer(ctx context.Context) error {
	if t.learner != lineage.Preference {
		return nil
	}
	all := make([]int, len(t.lessons))
	for i := range all {
		all[i] = i
	}
	for some := range slices.Chunk(all, t.config.Batch) {
		if err := ctx.Err(); err != nil {
			return err
		}
		margins, err := t.margins(some)
		if err != nil {
			return err
		}
		for k, i := range some {
			t.lessons[i].reference = margins[k]
		}
	}
	return nil
}
