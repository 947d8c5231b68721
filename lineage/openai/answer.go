package openai

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
	api "github.com/sashabaranov/go-openai"
)

// answer is what a server gave for one request, in full.
type answer struct {
	choices []choice
	usage   api.Usage // zero where it is not told
}

type choice struct {
	text, finish string
	logProb      *float64
}

// read takes the choices of an answer. One that was broken off is none: no part
// of a text is ever kept for the whole.
func (s Server) read(choices []api.ChatCompletionChoice, usage api.Usage) (answer, error) {
	if len(choices) == 0 {
		return answer{}, errNoChoice
	}
	out := answer{usage: usage}
	for _, c := range choices {
		finish, ok := finishes[strings.ToLower(string(c.FinishReason))]
		if !ok {
			return answer{}, fmt.Errorf("a completion that ended for no known reason (%q)", line(s.clean(string(c.FinishReason))))
		}
		text := s.clean(c.Message.Content)
		if c.Message.Refusal != "" {
			text, finish = s.clean(c.Message.Refusal), "refusal"
		}
		if text == "" && finish == "stop" {
			finish = "empty"
		}
		out.choices = append(out.choices, choice{text, finish, sum(c.LogProbs)})
	}
	return out, nil
}

// sum gives the log-probability of a completion from those of its tokens.
func sum(tokens *api.LogProbs) *float64 {
	if tokens == nil || len(tokens.Content) == 0 {
		return nil
	}
	total := 0.0
	for _, t := range tokens.Content {
		total += t.LogProb
	}
	if math.IsNaN(total) || math.IsInf(total, 0) {
		return nil
	}
	return &total
}

// finishes are the reasons to end a completion, in the words of servers.
var finishes = map[string]string{
	"stop": "stop", "eos": "stop", "eos_token": "stop", "end_turn": "stop", "stop_sequence": "stop",
	"length": "length", "max_tokens": "length", "model_length": "length",
	"content_filter": "content_filter", "tool_calls": "tool_calls", "function_call": "tool_calls",
}

// errCut says that a server read a part of the prompt only.
var errCut = errors.New("a part of the prompt was not read")

// readWhole holds the prompt against the tokens that the server counted. A word
// has a token at least; some servers cut what does not fit their context off,
// and say nothing.
func readWhole(messages []lineage.Message, counted int) error {
	words := 0
	for _, m := range messages {
		words += len(strings.Fields(m.Content))
	}
	if counted > 0 && words >= 200 && counted < words*3/4 {
		return fmt.Errorf("%w: it has %d words, and the server counted %d tokens", errCut, words, counted)
	}
	return nil
}

// completions gives the answer as those of n requests, fewer where it has fewer.
func (a answer) completions(n int) []lineage.Completion {
	out := make([]lineage.Completion, min(n, len(a.choices)))
	for i := range out {
		out[i] = lineage.Completion{Text: a.choices[i].text, Finish: a.choices[i].finish, PromptTokens: a.usage.PromptTokens, LogProb: a.choices[i].logProb}
	}
	if len(a.choices) == 1 {
		out[0].Tokens = a.usage.CompletionTokens // of several, only the sum is told
	}
	return out
}
