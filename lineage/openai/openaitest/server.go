// Package openaitest is a server of the OpenAI protocol on a local port, for
// tests: what it says comes from a function, everything else is real.
package openaitest

import (
	"encoding/json"
	"hash/fnv"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Server answers chat completions by a function, and embeddings by counting
// hashed words, which puts texts with common words near to each other.
type Server struct {
	Embed  func(text string) []float32                    // gives vectors; by hashed words where it is not set before the first request
	URL    string                                         // of the API; ends in /v1
	Before func(w http.ResponseWriter, n int) (done bool) // may answer request n, from 0, in the server's stead; set before the first one

	chat func(Chat) Answer
	mu   sync.Mutex
	all  []Seen
	seen map[string]int
}

// Seen is a request as it came in.
type Seen struct {
	Path   string
	Header http.Header
	Body   string
}

// Chat is a request for a completion.
type Chat struct {
	Model    string `json:"model"`
	Messages []struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	} `json:"messages"`
	Temperature *float64        `json:"temperature"`
	MaxTokens   *int            `json:"max_tokens"`
	Seed        *int            `json:"seed"`
	Format      json.RawMessage `json:"response_format"`
}

// Answer is what the server says. Model and Finish default to what was asked for
// and "stop".
type Answer struct{ Text, Model, Finish, Refusal string }

// Start starts a server that ends with the test.
func Start(t testing.TB, chat func(Chat) Answer) *Server {
	s := &Server{chat: chat, Embed: hashed, seen: map[string]int{}}
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	s.URL = h.URL + "/v1"
	return s
}

// Requests are all that came in so far.
func (s *Server) Requests() []Seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Seen(nil), s.all...)
}

// Forget has the counts begin again.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all, s.seen = nil, map[string]int{}
}

// Questions is the number of different questions that were asked: completions,
// and texts to embed.
func (s *Server) Questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// Repeated is the number of questions that were equal to an earlier one.
func (s *Server) Repeated() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, times := range s.seen {
		n += times - 1
	}
	return n
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mu.Lock()
	n := len(s.all)
	s.all = append(s.all, Seen{r.URL.Path, r.Header, string(body)})
	if r.URL.Path == "/v1/chat/completions" {
		s.seen[string(body)]++
	}
	s.mu.Unlock()
	if s.Before != nil && s.Before(w, n) {
		return
	}
	switch r.URL.Path {
	case "/v1/chat/completions":
		var c Chat
		if err := json.Unmarshal(body, &c); err != nil {
			Fail(w, 400, "", err.Error())
			return
		}
		s.complete(w, c, s.chat(c))
	case "/v1/embeddings":
		s.embed(w, body)
	default:
		Fail(w, 404, "", "no such path")
	}
}

type object = map[string]any

func (s *Server) complete(w http.ResponseWriter, c Chat, a Answer) {
	if a.Finish == "" {
		a.Finish = "stop"
	}
	if a.Model == "" {
		a.Model = c.Model
	}
	message := object{"role": "assistant", "content": a.Text}
	if a.Refusal != "" {
		message = object{"role": "assistant", "content": nil, "refusal": a.Refusal}
	}
	words := 0
	for _, m := range c.Messages {
		words += len(strings.Fields(m.Content))
	}
	said := len(strings.Fields(a.Text))
	send(w, 200, object{
		"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": a.Model,
		"choices": []object{{"index": 0, "message": message, "finish_reason": a.Finish, "logprobs": nil}},
		"usage":   object{"prompt_tokens": words, "completion_tokens": said, "total_tokens": words + said},
	})
}

// dimensions of an embedding.
const dimensions = 64

func (s *Server) embed(w http.ResponseWriter, body []byte) {
	var r struct {
		Model string
		Input []string
	}
	if err := json.Unmarshal(body, &r); err != nil {
		Fail(w, 400, "", err.Error())
		return
	}
	var data []object
	for i := len(r.Input) - 1; i >= 0; i-- { // their order is not promised
		s.count(r.Model + " " + r.Input[i])
		data = append(data, object{"object": "embedding", "index": i, "embedding": s.Embed(r.Input[i])})
	}
	send(w, 200, object{"object": "list", "model": r.Model, "data": data, "usage": object{"prompt_tokens": 1, "total_tokens": 1}})
}

func (s *Server) count(question string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[question]++
}

func hashed(text string) []float32 {
	v := make([]float32, dimensions)
	v[0] = .1 // no vector is zero
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		h := fnv.New32a()
		io.WriteString(h, word)
		sum := h.Sum32()
		v[sum%dimensions] += 1 - 2*float32(sum>>31)
	}
	return v
}

// Fail answers with an error as OpenAI words it.
func Fail(w http.ResponseWriter, status int, code, message string) {
	send(w, status, object{"error": object{"message": message, "type": "invalid_request_error", "param": nil, "code": code}})
}

func send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}
