package serve

import (
	"context"
	"math"

	"github.com/heirloom-sim/heirloom/lineage"
)

// logprobs of a choice. A lineage.Scorer tells the probability of a whole turn,
// so there is one entry, the turn: the sum over entries is what a client expects
// it to be. An answer that was cut off has none.
type logprobs struct {
	Content []logprob `json:"content"`
	Refusal []logprob `json:"refusal"`
}

type logprob struct {
	Token   string       `json:"token"`
	Logprob float64      `json:"logprob"`
	Bytes   []int        `json:"bytes"`
	Top     []topLogprob `json:"top_logprobs"`
}

type topLogprob struct {
	Token   string  `json:"token"`
	Logprob float64 `json:"logprob"`
	Bytes   []int   `json:"bytes"`
}

// unlikely is what the protocol has for a probability of nothing.
const unlikely = -9999

func (q *chatRequest) score(ctx context.Context, d *desk, asked []lineage.Message, c *completion, whole []bool) error {
	scorer, ok := d.model.(lineage.Scorer)
	if !ok {
		return bad("logprobs", "unsupported_parameter", "logprobs: the model %s cannot score text", q.Model)
	}
	docs := make([][]lineage.Message, len(c.Choices))
	for i, one := range c.Choices {
		text := ""
		if one.Message.Content != nil {
			text = *one.Message.Content
		}
		docs[i] = append(asked[:len(asked):len(asked)], lineage.Message{Role: "assistant", Content: text})
	}
	last := make([]float64, len(docs))
	for i, doc := range docs { // earlier assistant turns of the conversation are not the answer
		both, err := scorer.LogProb(ctx, [][]lineage.Message{doc, doc[:len(doc)-1]})
		if err != nil {
			return err
		}
		last[i] = both[0].Sum - both[1].Sum
	}
	for i := range c.Choices {
		one := &c.Choices[i]
		one.Logprobs = &logprobs{}
		if !whole[i] || one.Message.Content == nil {
			continue
		}
		if math.IsNaN(last[i]) || math.IsInf(last[i], 0) {
			last[i] = unlikely
		}
		text := *one.Message.Content
		bytes := make([]int, len(text))
		for k := range len(text) {
			bytes[k] = int(text[k])
		}
		p := logprob{Token: text, Logprob: last[i], Bytes: bytes, Top: []topLogprob{}}
		if q.TopLogprobs != nil && *q.TopLogprobs > 0 {
			p.Top = append(p.Top, topLogprob{text, last[i], bytes})
		}
		one.Logprobs.Content = []logprob{p}
	}
	return nil
}
