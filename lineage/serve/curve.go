package serve

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// scored bounds the examples that a loss is over.
const scored = 256

// curve has the loss of the model that the training began from, which is that
// of its first step, and of the model that it ended with. Where models cannot
// score text there is nothing to tell.
func (s *Server) curve(ctx context.Context, w work, trained lineage.Artifact, steps int) []point {
	var curve []point
	for _, at := range []struct {
		step int
		a    lineage.Artifact
	}{{1, w.start}, {steps, trained}} {
		if at.a == nil {
			continue
		}
		m, err := w.base.Backend.Open(ctx, at.a)
		if err != nil {
			continue
		}
		scorer, ok := m.(lineage.Scorer)
		if !ok {
			return nil
		}
		p := point{Step: at.step, Train: loss(ctx, scorer, w.examples), Valid: loss(ctx, scorer, w.holdout)}
		if len(curve) > 0 && curve[0].Step == p.Step {
			curve = curve[:0]
		}
		curve = append(curve, p)
	}
	return curve
}

// loss is the mean over tokens, nil where it is none.
func loss(ctx context.Context, scorer lineage.Scorer, examples []lineage.Example) *float64 {
	examples = examples[:min(len(examples), scored)]
	docs := make([][]lineage.Message, len(examples))
	for i, e := range examples {
		docs[i] = e.Messages
	}
	if len(docs) == 0 {
		return nil
	}
	all, err := scorer.LogProb(ctx, docs)
	if err != nil {
		return nil
	}
	sum, tokens := 0.0, 0
	for _, p := range all {
		sum += p.Sum
		tokens += p.Tokens
	}
	mean := -sum / float64(tokens)
	if math.IsNaN(mean) || math.IsInf(mean, 0) {
		return nil
	}
	return &mean
}

// table is a curve as the result file of a job has it.
func table(curve []point) []byte {
	var b strings.Builder
	b.WriteString("step,train_loss,valid_loss\n")
	cell := func(v *float64) string {
		if v == nil {
			return ""
		}
		return fmt.Sprintf("%.6f", *v)
	}
	for _, p := range curve {
		fmt.Fprintf(&b, "%d,%s,%s\n", p.Step, cell(p.Train), cell(p.Valid))
	}
	return []byte(b.String())
}
