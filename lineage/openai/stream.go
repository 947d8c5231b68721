package openai

import (
	"context"
	"errors"
	"io"
	"slices"

	api "github.com/sashabaranov/go-openai"
)

// complete sends one request for completions and reads the whole answer.
func (c *Client) complete(ctx context.Context, model string, stream bool) (answer, error) {
	if !stream {
		got, err := c.api.CreateChatCompletion(ctx, api.ChatCompletionRequest{Model: model})
		if err != nil {
			return answer{}, err
		}
		return c.server.read(got.Choices, got.Usage)
	}
	pieces, err := c.api.CreateChatCompletionStream(ctx, api.ChatCompletionRequest{Model: model})
	if err != nil {
		return answer{}, err
	}
	defer pieces.Close()
	var all streamed
	for {
		piece, err := pieces.Recv()
		if errors.Is(err, io.EOF) { // also where the server just hung up: then a reason to end is missing
			return c.server.read(all.choices, all.usage)
		}
		if err == nil {
			err = all.add(piece)
		}
		if err != nil {
			return answer{}, err
		}
	}
}

// streamed puts an answer together from its pieces, as CreateChatCompletion gives
// a whole one.
type streamed struct {
	choices []api.ChatCompletionChoice
	usage   api.Usage
}

func (s *streamed) add(piece api.ChatCompletionStreamResponse) error {
	if piece.Usage != nil {
		s.usage = *piece.Usage
	}
	for _, c := range piece.Choices {
		i := slices.IndexFunc(s.choices, func(o api.ChatCompletionChoice) bool { return o.Index == c.Index })
		if i < 0 {
			i = len(s.choices)
			s.choices = append(s.choices, api.ChatCompletionChoice{Index: c.Index})
		}
		to := &s.choices[i]
		if to.FinishReason != "" && c.Delta.Content+c.Delta.Refusal != "" {
			return errors.New("a completion that went on after its end")
		}
		to.Message.Content += c.Delta.Content
		to.Message.Refusal += c.Delta.Refusal
		if c.Logprobs != nil {
			if to.LogProbs == nil {
				to.LogProbs = new(api.LogProbs)
			}
			for _, t := range c.Logprobs.Content {
				to.LogProbs.Content = append(to.LogProbs.Content, api.LogProb{LogProb: t.Logprob})
			}
		}
		if c.FinishReason != "" {
			to.FinishReason = c.FinishReason
		}
	}
	return nil
}
