package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"

	"github.com/heirloom-sim/heirloom/lineage"
)

// said is a greedy answer, with the log-probabilities of its tokens where the
// server tells them.
type said struct {
	text     string
	logprobs []float64
}

// greedy asks for the likeliest answer.
func (w wire) greedy(ctx context.Context, model string, extras map[string]any, messages []lineage.Message) (s said, err error) {
	body := map[string]any{"model": model, "messages": messages, "temperature": 0, "max_tokens": 24, "logprobs": true, "top_logprobs": 1, "seed": 0}
	maps.Copy(body, extras)
	var reply struct {
		Choices []struct {
			Message struct {
				Content string `json:"content"`
			} `json:"message"`
			LogProbs struct {
				Content []struct {
					LogProb float64 `json:"logprob"`
				} `json:"content"`
			} `json:"logprobs"`
		} `json:"choices"`
	}
	a, err := w.ask(ctx, "POST", "/v1/chat/completions", body)
	if err == nil && a.status >= 400 && a.status < 500 { // without logprobs, perhaps
		delete(body, "logprobs")
		delete(body, "top_logprobs")
		a, err = w.ask(ctx, "POST", "/v1/chat/completions", body)
	}
	switch {
	case err != nil:
		return s, err
	case !a.ok():
		return s, w.refused("/v1/chat/completions", a)
	case json.Unmarshal(a.body, &reply) != nil || len(reply.Choices) == 0:
		return s, fmt.Errorf("%s/v1/chat/completions: answered what is no completion: %s", w.url, a.said())
	}
	s.text = reply.Choices[0].Message.Content
	for _, t := range reply.Choices[0].LogProbs.Content {
		s.logprobs = append(s.logprobs, t.LogProb)
	}
	return s, nil
}

// distance is the largest difference between the log-probabilities of two
// answers, in nats; infinite between different texts, and 0 where a server tells
// no log-probabilities.
func (s said) distance(o said) float64 {
	if s.text != o.text || len(s.logprobs) != len(o.logprobs) {
		return math.Inf(1)
	}
	d := 0.0
	for i := range s.logprobs {
		d = max(d, math.Abs(s.logprobs[i]-o.logprobs[i]))
	}
	return d
}

// generalProbes are asked where a corpus has no prompts.
var generalProbes = [][]lineage.Message{
	{{Role: "user", Content: "Tell me about yourself."}},
	{{Role: "user", Content: "Write one sentence about anything."}},
	{{Role: "user", Content: "What do you remember?"}},
}

// smallest is the least difference in nats that counts as one.
const smallest = 1e-4

// checkApplied holds a model against its base: on prompts that it was trained
// on, its greedy answers have to be others, or their log-probabilities. A server
// that repeats itself inexactly is held against its own noise.
func (b *Backend) checkApplied(ctx context.Context, a *Artifact, s served) error {
	if s.base == "" {
		return nil
	}
	w := newWire(b.config.Serve)
	probes := append(a.Probes[:len(a.Probes):len(a.Probes)], generalProbes...)
	with := func(extras map[string]any) map[string]any {
		all := maps.Clone(b.config.Serve.Request)
		if all == nil {
			all = map[string]any{}
		}
		maps.Copy(all, extras)
		return all
	}
	alike := 0
	for _, messages := range probes {
		var base, model [2]said // each twice, in turn
		for i := range base {
			var first, second error
			base[i], first = w.greedy(ctx, s.base, with(s.extrasOfTheBase), messages)
			model[i], second = w.greedy(ctx, s.model, with(s.extras), messages)
			if err := errors.Join(first, second); err != nil {
				return fmt.Errorf("command: %s cannot be held against its base %s: %w", s.model, s.base, err)
			}
		}
		noise := max(base[0].distance(base[1]), model[0].distance(model[1]))
		if math.IsInf(noise, 1) {
			continue // it does not repeat itself at all: this prompt tells nothing
		}
		if model[0].distance(base[0]) > max(smallest, 4*noise) {
			return nil
		}
		alike++
	}
	if alike == 0 {
		return fmt.Errorf("command: whether %s is applied cannot be told: at temperature 0 the server answers no prompt of %d twice alike; start it without speculative decoding or sampling of its own", s.model, len(probes))
	}
	return fmt.Errorf("command: adapter not applied: %s answers %d prompts as its base %s does; the server ignores it, or the training changed nothing (see the loss in %s)", s.model, alike, s.base, a.Path)
}
