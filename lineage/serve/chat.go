package serve

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
)

// chatRequest is what of a request is read.
type chatRequest struct {
	Model         string   `json:"model"`
	Messages      []turn   `json:"messages"`
	N             *int     `json:"n"`
	Seed          *int64   `json:"seed"`
	MaxTokens     *int     `json:"max_tokens"`
	MaxCompletion *int     `json:"max_completion_tokens"`
	Temperature   *float64 `json:"temperature"`
	TopP          *float64 `json:"top_p"`
	Stop          stops    `json:"stop"`
	Logprobs      bool     `json:"logprobs"`
	TopLogprobs   *int     `json:"top_logprobs"`
	Stream        bool     `json:"stream"`
	StreamOptions *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Presence       float64            `json:"presence_penalty"`
	Frequency      float64            `json:"frequency_penalty"`
	LogitBias      map[string]float64 `json:"logit_bias"`
	Tools          []json.RawMessage  `json:"tools"`
	ResponseFormat *struct {
		Type string `json:"type"`
	} `json:"response_format"`
	Metadata map[string]string `json:"metadata"`
}

// stops is one text or a list of them.
type stops []string

func (s *stops) UnmarshalJSON(data []byte) error {
	var one *string
	if json.Unmarshal(data, &one) == nil {
		if one != nil {
			*s = stops{*one}
		}
		return nil
	}
	var many []string
	if err := json.Unmarshal(data, &many); err != nil || len(many) > 4 {
		return bad("stop", "invalid_value", "stop: it is a text or a list of up to four")
	}
	*s = many
	return nil
}

const mostChoices = 128

func (q *chatRequest) check() error {
	within := func(name string, v *float64, most float64) error {
		if v != nil && !(*v >= 0 && *v <= most) {
			return bad(name, "invalid_value", "%s: %v is not within 0 and %v", name, *v, most)
		}
		return nil
	}
	if err := within("temperature", q.Temperature, 2); err != nil {
		return err
	}
	if err := within("top_p", q.TopP, 1); err != nil {
		return err
	}
	switch {
	case q.Model == "":
		return bad("model", "missing_required_parameter", "model: a request names one")
	case len(q.Messages) == 0:
		return bad("messages", "invalid_value", "messages: there is none")
	case q.N != nil && (*q.N < 1 || *q.N > mostChoices):
		return bad("n", "invalid_value", "n: %d is not within 1 and %d", *q.N, mostChoices)
	case q.MaxTokens != nil && q.MaxCompletion != nil:
		return bad("max_tokens", "invalid_value", "max_tokens and max_completion_tokens are one setting: give one of them")
	case q.most() < 0 || (q.MaxTokens != nil && *q.MaxTokens == 0) || (q.MaxCompletion != nil && *q.MaxCompletion == 0):
		return bad("max_tokens", "invalid_value", "max_tokens: it is a number of at least 1")
	case q.TopLogprobs != nil && (*q.TopLogprobs < 0 || *q.TopLogprobs > 20 || !q.Logprobs):
		return bad("top_logprobs", "invalid_value", "top_logprobs: it is within 0 and 20, and needs logprobs")
	case slices.Contains(q.Stop, ""):
		return bad("stop", "invalid_value", "stop: a text to stop at is not empty")
	}
	return checkMetadata(q.Metadata)
}

// most is the bound on the tokens of an answer, 0 for none.
func (q *chatRequest) most() int {
	switch {
	case q.MaxCompletion != nil:
		return *q.MaxCompletion
	case q.MaxTokens != nil:
		return *q.MaxTokens
	}
	return 0
}

// coldest stands for temperature 0, which is the likeliest text.
const coldest = 1e-9

func (q *chatRequest) temperature() float64 {
	if q.TopP != nil && *q.TopP == 0 {
		return coldest
	}
	if q.Temperature == nil {
		return 1
	}
	return max(*q.Temperature, coldest)
}

// idle names the parameters of a request that backends do not have: they sample
// their whole distribution, and write text.
func (q *chatRequest) idle() (names []string) {
	for name, set := range map[string]bool{
		"top_p":             q.TopP != nil && *q.TopP > 0 && *q.TopP < 1,
		"presence_penalty":  q.Presence != 0,
		"frequency_penalty": q.Frequency != 0,
		"logit_bias":        len(q.LogitBias) > 0,
		"tools":             len(q.Tools) > 0,
		"response_format":   q.ResponseFormat != nil && q.ResponseFormat.Type != "text",
	} {
		if set {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// requests are the choices of a request. The first has its very seed.
func (q *chatRequest) requests(seed uint64) []lineage.Request {
	n := 1
	if q.N != nil {
		n = *q.N
	}
	messages := make([]lineage.Message, len(q.Messages))
	for i, t := range q.Messages {
		messages[i] = t.message()
	}
	reqs := make([]lineage.Request, n)
	for i := range reqs {
		s := seed
		if i > 0 {
			s = (&journal{seed: seed}).draw("choice", i)
		}
		reqs[i] = lineage.Request{Messages: messages, Seed: s, Temperature: q.temperature(), MaxTokens: q.most()}
	}
	return reqs
}

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

type choiceMessage struct {
	Role    string  `json:"role"`
	Content *string `json:"content"`
	Refusal *string `json:"refusal"`
}

type choice struct {
	Index    int           `json:"index"`
	Message  choiceMessage `json:"message"`
	Logprobs *logprobs     `json:"logprobs"`
	Finish   string        `json:"finish_reason"`
}

type completion struct {
	ID          string   `json:"id"`
	Object      string   `json:"object"`
	Created     int64    `json:"created"`
	Model       string   `json:"model"`
	Choices     []choice `json:"choices"`
	Usage       usage    `json:"usage"`
	Tier        string   `json:"service_tier"`
	Fingerprint string   `json:"system_fingerprint"`
}

func (s *Server) chat(w http.ResponseWriter, r *http.Request) error {
	var q chatRequest
	if err := s.read(w, r, &q); err != nil {
		return err
	}
	if err := q.check(); err != nil {
		return err
	}
	d, m, err := s.model("model", q.Model)
	if err != nil {
		return err
	}
	if names := q.idle(); names != nil {
		w.Header().Set("X-Heirloom-Ignored", strings.Join(names, ", "))
		s.tell(names)
	}
	c, err := s.complete(r.Context(), &q, d, m)
	if err != nil {
		return err
	}
	s.counting.sampled(r.Context(), q.Model, m.root, len(c.Choices), c.Usage)
	if q.Stream {
		return stream(w, &q, c)
	}
	return reply(w, c)
}

// tell says once of each parameter that it does nothing here.
func (s *Server) tell(names []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		if !s.told[name] {
			s.told[name] = true
			s.options.Log("%s is ignored: the models behind this server do not have it", name)
		}
	}
}

func (s *Server) complete(ctx context.Context, q *chatRequest, d *desk, m *served) (*completion, error) {
	seed := s.seed(ctx)
	if q.Seed != nil {
		seed = uint64(*q.Seed)
	}
	reqs := q.requests(seed)
	answers, err := s.sample(ctx, d, reqs)
	if err != nil {
		return nil, err
	}
	c := &completion{
		ID: s.name("chatcmpl-", "completion"), Object: "chat.completion", Created: s.now(), Model: q.Model,
		Tier: "default", Fingerprint: m.fingerprint(),
	}
	c.Usage.Prompt = promptTokens(reqs[0].Messages)
	whole := make([]bool, len(answers))
	for i, a := range answers {
		if a.Finish == "too_long" {
			return nil, bad("messages", "context_length_exceeded", "messages: they are longer than the model can take in")
		}
		text, finish := q.cut(a)
		whole[i] = text == a.Text && finish == "stop"
		c.Usage.Completion += Tokens(text)
		one := choice{Index: i, Finish: finish, Message: choiceMessage{Role: "assistant", Content: &text}}
		if a.Finish == "refusal" {
			one.Message.Content, one.Message.Refusal = nil, &text
		}
		c.Choices = append(c.Choices, one)
	}
	c.Usage.Total = c.Usage.Prompt + c.Usage.Completion
	if q.Logprobs {
		err = q.score(ctx, d, reqs[0].Messages, c, whole)
	}
	return c, err
}

// cut ends an answer where the request says.
func (q *chatRequest) cut(a lineage.Completion) (text, finish string) {
	text, finish = a.Text, a.Finish
	if finish != "length" && finish != "content_filter" {
		finish = "stop"
	}
	for _, s := range q.Stop {
		if i := strings.Index(text, s); i >= 0 {
			text, finish = text[:i], "stop"
		}
	}
	if most := q.most(); most > 0 {
		if short, was := atMost(text, most); was {
			text, finish = short, "length"
		}
	}
	return text, finish
}

// fingerprint tells the weights of a model.
func (m *served) fingerprint() string {
	if m.blob != "" {
		return "fp_" + m.blob[:12]
	}
	return "fp_" + identifier(m.name)[:12]
}
