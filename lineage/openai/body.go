package openai

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// body is a request for completions as it goes over the wire. The API package's
// own type leaves out a temperature, top_p or seed of 0, for which a server then
// takes its default, and the content of an empty message; and it refuses some
// settings by the name of the model.
type body struct {
	Model               string            `json:"model"`
	Messages            []lineage.Message `json:"messages"`
	Temperature         *float64          `json:"temperature,omitempty"`
	TopP                *float64          `json:"top_p,omitempty"`
	MaxTokens           int               `json:"max_tokens,omitempty"`
	MaxCompletionTokens int               `json:"max_completion_tokens,omitempty"`
	Seed                *int64            `json:"seed,omitempty"`
	RandomSeed          *int64            `json:"random_seed,omitempty"`
	N                   int               `json:"n,omitempty"`
	Stop                []string          `json:"stop,omitempty"`
	LogProbs            bool              `json:"logprobs,omitempty"`
	Format              any               `json:"response_format,omitempty"`
	Stream              bool              `json:"stream,omitempty"`
	StreamOptions       any               `json:"stream_options,omitempty"`

	extras map[string]any // further members
}

// members are the names that extras cannot have.
var members = strings.Fields(`model messages temperature top_p max_tokens max_completion_tokens seed random_seed n stop logprobs
	response_format stream stream_options`)

// bound sets the bound of an answer under the name that a server has for it.
func (b *body) bound(name string, tokens int) {
	if name == "max_completion_tokens" {
		b.MaxCompletionTokens = tokens
	} else {
		b.MaxTokens = tokens
	}
}

// encode gives the JSON object, with the extras after everything else in the
// order of their names.
func (b body) encode() ([]byte, error) {
	data, err := json.Marshal(b)
	if err != nil || len(b.extras) == 0 {
		return data, err
	}
	more, err := json.Marshal(b.extras)
	if err != nil {
		return nil, fmt.Errorf("extras: %w", err)
	}
	return append(append(data[:len(data)-1], ','), more[1:]...), nil
}

// checkExtras refuses what would say something twice.
func checkExtras(extras map[string]any) error {
	for name := range extras {
		if slices.Contains(members, name) {
			return fmt.Errorf("extras: %s has a setting of its own or is decided by the run; leave it out", name)
		}
	}
	if _, err := json.Marshal(extras); err != nil {
		return fmt.Errorf("extras: %w", err)
	}
	return nil
}

// guess is the number of tokens of a text of so many bytes, before a server
// has counted them.
func guess(bytes int) int { return int(math.Ceil(float64(bytes) / 3.5)) }

func sizeOf(messages []lineage.Message) (bytes int) {
	for _, m := range messages {
		bytes += len(m.Content)
	}
	return bytes
}
