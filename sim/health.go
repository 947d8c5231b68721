package sim

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// vital collects the health of a node from its first outputs, so that collapse
// is not mistaken for the loss of a trait.
type vital struct {
	words   map[string]int
	pairs   map[[2]string]struct{}
	total   int
	paired  int
	empty   int
	sampled int
}

// vitalTexts bounds the memory and time of the health of one node.
const vitalTexts = 512

func (m *making) health(texts lineage.Texts) {
	v := &m.vital
	if v.words == nil {
		v.words, v.pairs = map[string]int{}, map[[2]string]struct{}{}
	}
	for _, t := range texts {
		if v.sampled == vitalTexts {
			return
		}
		v.add(t.Replies[len(t.Replies)-1])
	}
}

func (v *vital) add(text string) {
	v.sampled++
	last, words := "", 0
	for word := range strings.FieldsSeq(text) {
		v.words[word]++
		if words++; words > 1 {
			v.pairs[[2]string{last, word}] = struct{}{}
			v.paired++
		}
		last = word
	}
	v.total += words
	if words == 0 {
		v.empty++
	}
}

// measure gives distinct-2 (Li et al. 2016) and the entropy of the words.
func (v *vital) measure() lineage.Health {
	h := lineage.Health{Empty: v.empty, Sampled: v.sampled}
	if v.paired > 0 {
		h.Distinct2 = float64(len(v.pairs)) / float64(v.paired)
	}
	if v.sampled > 0 {
		h.Words = float64(v.total) / float64(v.sampled)
	}
	// Summed by count, not by word: the order of a map must not reach a record.
	counts := map[int]int{}
	for _, n := range v.words {
		counts[n]++
	}
	for n := 1; len(counts) > 0; n++ {
		if k, ok := counts[n]; ok {
			p := float64(n) / float64(v.total)
			h.Entropy -= float64(k) * p * math.Log2(p)
			delete(counts, n)
		}
	}
	return h
}

// heldOutDocs bounds the time that the held-out loss of one node takes.
const heldOutDocs = 256

// heldOutLoss is nats a token on held-out documents, where the model can score.
func (m *making) heldOutLoss(ctx context.Context) error {
	scorer, ok := m.model.(lineage.Scorer)
	if !ok || m.shape.heldOut == nil {
		return nil
	}
	var docs [][]lineage.Message
	for i := range min(m.shape.heldOut.Len(), heldOutDocs) {
		doc, err := m.shape.heldOut.Document(i)
		if err != nil {
			return err
		}
		docs = append(docs, doc.Messages)
	}
	probs, err := scorer.LogProb(ctx, docs)
	if err != nil {
		return fmt.Errorf("held-out loss: %w", err)
	}
	sum, tokens := 0.0, 0
	for _, p := range probs {
		sum += p.Sum
		tokens += p.Tokens
	}
	if tokens == 0 {
		return nil
	}
	loss := -sum / float64(tokens)
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("held-out loss: the model gives %v nats a token", loss)
	}
	m.node.Health.HeldOut = &loss
	return nil
}
