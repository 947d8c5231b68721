package serve

import (
	"encoding/json"
	"net/http"
)

// chunk is one event of a streamed completion.
type chunk struct {
	ID          string        `json:"id"`
	Object      string        `json:"object"`
	Created     int64         `json:"created"`
	Model       string        `json:"model"`
	Choices     []chunkChoice `json:"choices"`
	Usage       *usage        `json:"usage,omitempty"`
	Tier        string        `json:"service_tier"`
	Fingerprint string        `json:"system_fingerprint"`
}

type chunkChoice struct {
	Index    int       `json:"index"`
	Delta    delta     `json:"delta"`
	Logprobs *logprobs `json:"logprobs"`
	Finish   *string   `json:"finish_reason"`
}

type delta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
	Refusal *string `json:"refusal,omitempty"`
}

// stream tells a completion token by token.
func stream(w http.ResponseWriter, q *chatRequest, c *completion) error {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusOK)
	base := chunk{ID: c.ID, Object: "chat.completion.chunk", Created: c.Created, Model: c.Model, Tier: c.Tier, Fingerprint: c.Fingerprint}
	send := func(one chunkChoice) {
		next := base
		next.Choices = []chunkChoice{one}
		sendEvent(w, next)
	}
	for _, one := range c.Choices {
		empty := ""
		send(chunkChoice{Index: one.Index, Delta: delta{Role: "assistant", Content: &empty}})
		text, refused := one.Message.Content, false
		if text == nil {
			text, refused = one.Message.Refusal, true
		}
		for i := 0; i < len(*text); {
			end := tokenEnd(*text, i)
			part := (*text)[i:end]
			d := delta{Content: &part}
			if refused {
				d = delta{Refusal: &part}
			}
			send(chunkChoice{Index: one.Index, Delta: d})
			i = end
		}
		send(chunkChoice{Index: one.Index, Logprobs: one.Logprobs, Finish: &one.Finish})
	}
	if q.StreamOptions != nil && q.StreamOptions.IncludeUsage {
		last := base
		last.Choices, last.Usage = []chunkChoice{}, &c.Usage
		sendEvent(w, last)
	}
	writeEvent(w, []byte("[DONE]"))
	return nil
}

func sendEvent(w http.ResponseWriter, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	writeEvent(w, data)
}

func writeEvent(w http.ResponseWriter, data []byte) {
	line := make([]byte, 0, len(data)+8)
	line = append(append(append(line, "data: "...), data...), "\n\n"...)
	w.Write(line)
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}
