// Package openai makes and asks models by servers that speak the OpenAI protocol:
// fine-tuning jobs, chat completions, batches and embeddings, of OpenAI or of any
// server of your own (vLLM, llama.cpp, Ollama, SGLang and others speak it).
//
//  1. A request waits until its server's limits let it through. All clients of
//     one address and key share the limits, and a server that says "too many"
//     holds all of them back.
//  2. It is asked. What may pass by itself (429, 5xx, a dropped connection, a
//     time out) is asked again, after as long as the server says or twice as
//     long as the last time; what cannot is an error in plain words at once.
//  3. An answer that was cut off, filtered or refused is an answer: Finish tells.
//
// The key goes to the host of the address and nowhere else: redirects are not
// followed, plain http is for this machine alone, and what a server sends back
// is cleared of it before anybody sees it.
package openai

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	api "github.com/sashabaranov/go-openai"
)

// DefaultURL is where OpenAI's own API is.
const DefaultURL = "https://api.openai.com/v1"

// Server is one server and how to be polite to it. KeyEnv names the key in
// messages; this package reads no environment.
type Server struct {
	BaseURL  string  // DefaultURL where it is ""
	Key      string  // "" sends none
	KeyEnv   string  // the variable that Key was read from
	Requests float64 // most a minute; 0 for no bound
	Tokens   float64 // most a minute; 0 for no bound
	InFlight int     // most at once; 0 for no bound

	APIVersion            string // of Azure's classic dialect; "" elsewhere
	Organization, Project string // that pays, where a key has several
}

// Request asks for one completion. Draw numbers repeats of a question and is
// sent as its seed.
type Request struct {
	Model       string
	Messages    []lineage.Message
	Temperature float64
	MaxTokens   int    // 0 for the server's own bound
	Schema      []byte // JSON Schema of the answer; nil for free text
	Draw        int
}

// Reply is an answer. Finish is "stop", or tells what is wrong with it: "length"
// (cut off), "content_filter", "refusal", or "too_long" for a question that the
// model cannot take in; Text may then be empty.
type Reply struct {
	Text, Model, Finish string
	PromptTokens        int
	CompletionTokens    int
}

// Servers opens clients that share connections and limits. The zero value is
// ready; its methods may be called by several goroutines at once.
type Servers struct {
	Log     func(format string, args ...any) // one line for each request that is asked again; nil for silence
	Timeout time.Duration                    // of one attempt; 5 minutes where it is 0
	Grace   time.Duration                    // for an attempt that is on its way when its context ends; 30 seconds where it is 0

	once  sync.Once
	wire  wire
	clock clock
	mu    sync.Mutex
	gates map[[2]string]*gate         // by address and key
	slots map[[2]string]chan struct{} // for fine-tuning jobs
	given map[[2]string]bool          // who has got a key
}

// Client asks one server.
type Client struct {
	name    string
	address *url.URL
	server  Server
	api     *api.Client
	gate    *gate
	servers *Servers
	wallet  wallet
	mu      sync.Mutex
	books   map[string]*book
	log     func(format string, args ...any) // nil for that of the servers
}

// Open gives a client of a server; name says in messages who asks. Nothing is
// sent yet. A server that is opened again with other limits has the lower ones.
func (s *Servers) Open(name string, server Server) (*Client, error) {
	s.once.Do(s.start)
	if server.BaseURL == "" {
		server.BaseURL = DefaultURL
	}
	address, err := addressOf(server)
	if err != nil {
		return nil, err
	}
	server.BaseURL = address.String()
	for what, v := range map[string]float64{"requests": server.Requests, "tokens": server.Tokens} {
		if !(v >= 0) || math.IsInf(v, 1) {
			return nil, fmt.Errorf("%s_per_minute: %v is not a number of at least 0", what, v)
		}
	}
	config := api.DefaultConfig(server.Key)
	if server.APIVersion != "" {
		config = api.DefaultAzureConfig(server.Key, server.BaseURL)
		config.APIVersion = server.APIVersion
		config.AzureModelMapperFunc = func(model string) string { return model } // its own takes the colons out of ft: names
	}
	config.BaseURL, config.HTTPClient = server.BaseURL, s.wire
	config.EmptyMessagesLimit = math.MaxInt32 // comments that keep a stream alive; the bound of a body holds for them too
	return &Client{name: name, address: address, server: server, api: api.NewClientWithConfig(config), gate: s.gate(server), servers: s}, nil
}

func (s *Servers) start() {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	s.wire.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if s.clock.now == nil {
		s.clock = wallClock
	}
	if s.Timeout == 0 {
		s.Timeout = 5 * time.Minute
	}
	if s.Grace == 0 {
		s.Grace = 30 * time.Second
	}
	s.gates, s.slots, s.given = map[[2]string]*gate{}, map[[2]string]chan struct{}{}, map[[2]string]bool{}
}

func (s *Servers) gate(server Server) *gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [2]string{server.BaseURL, server.Key}
	if s.gates[key] == nil {
		s.gates[key] = newGate(s.clock)
	}
	s.gates[key].limit(server)
	return s.gates[key]
}

// addressOf checks where a key would go.
func addressOf(s Server) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(s.BaseURL, "/"))
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("base_url: %s is not the address of a server, such as https://api.openai.com/v1", s.clean(s.BaseURL))
	case s.clean(s.BaseURL) != s.BaseURL:
		return nil, fmt.Errorf("base_url: holds the key itself; it stands in the environment variable %s and nowhere else", s.KeyEnv)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("base_url: the address of %s holds more than a host and a path; a key stands in an environment variable, whose name is key_env", u.Host)
	case u.Scheme == "http" && s.Key != "" && !loopback(u.Hostname()):
		return nil, fmt.Errorf("base_url: %s would send the key in %s unencrypted; write https, or set key_env to the name of a variable that is not set", u, s.KeyEnv)
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Format keeps the key out of whatever prints a server or a client.
func (s Server) Format(f fmt.State, _ rune)  { io.WriteString(f, s.clean(s.BaseURL)) }
func (c *Client) Format(f fmt.State, _ rune) { io.WriteString(f, c.server.BaseURL) }

// Address is where the client asks.
func (c *Client) Address() string { return c.server.BaseURL }

// Chat asks for one completion. A question that is on its way when ctx ends is
// still answered, if that takes no longer than Servers.Grace.
func (c *Client) Chat(ctx context.Context, r Request) (Reply, error) {
	for i, m := range r.Messages {
		if m.Content == "" {
			return Reply{}, fmt.Errorf("message %d of the request is empty, which servers refuse", i+1)
		}
	}
	return c.ChatWith(ctx, r, nil)
}

// ChatWith is Chat with further members of the request's body, as servers of open
// weights know them. They take empty messages too.
func (c *Client) ChatWith(ctx context.Context, r Request, extras map[string]any) (Reply, error) {
	if math.IsNaN(r.Temperature) || math.IsInf(r.Temperature, 0) {
		return Reply{}, fmt.Errorf("temperature: %v is not a number", r.Temperature)
	}
	seed := int64(r.Draw)
	request := body{Model: r.Model, Messages: r.Messages, Temperature: &r.Temperature, Seed: &seed, extras: extras}
	request.bound(c.maxTokens(), r.MaxTokens)
	if r.Schema != nil {
		request.Format = api.ChatCompletionResponseFormat{
			Type:       api.ChatCompletionResponseFormatTypeJSONSchema,
			JSONSchema: &api.ChatCompletionResponseFormatJSONSchema{Name: "answer", Schema: json.RawMessage(r.Schema), Strict: true},
		}
	}
	data, err := request.encode()
	if err != nil {
		return Reply{}, err
	}
	var reply Reply
	q := question{model: r.Model, tokens: guess(sizeOf(r.Messages)) + r.MaxTokens, body: data}
	err = c.ask(ctx, q, func(ctx context.Context) (int, error) {
		answer, err := c.api.CreateChatCompletion(ctx, api.ChatCompletionRequest{Model: r.Model})
		if err != nil {
			return 0, err
		}
		if len(answer.Choices) == 0 {
			return 0, errNoChoice
		}
		reply = c.reply(answer)
		return answer.Usage.TotalTokens, nil
	})
	if d, ok := err.(*declined); ok && d.finish != "" {
		return Reply{Model: r.Model, Finish: d.finish}, nil
	}
	return reply, err
}

// maxTokens is how the server names the bound of an answer: by a name that
// OpenAI's own newer models refuse, and others know alone.
func (c *Client) maxTokens() string {
	if host := c.address.Hostname(); host == "api.openai.com" || strings.HasSuffix(host, ".azure.com") {
		return "max_completion_tokens"
	}
	return "max_tokens"
}

func (c *Client) reply(answer api.ChatCompletionResponse) Reply {
	choice := answer.Choices[0]
	r := Reply{
		Text: c.server.clean(choice.Message.Content), Model: c.server.clean(answer.Model), Finish: c.server.clean(string(choice.FinishReason)),
		PromptTokens: answer.Usage.PromptTokens, CompletionTokens: answer.Usage.CompletionTokens,
	}
	if choice.Message.Refusal != "" {
		r.Text, r.Finish = c.server.clean(choice.Message.Refusal), "refusal"
	}
	return r
}

// Embed gives one vector a text, all of one length and finite.
func (c *Client) Embed(ctx context.Context, model string, texts []string) ([][]float32, error) {
	size := 0
	for i, t := range texts {
		if t == "" {
			return nil, fmt.Errorf("text %d of the request is empty, which servers refuse", i+1)
		}
		size += len(t)
	}
	if len(texts) == 0 {
		return nil, ctx.Err()
	}
	request := api.EmbeddingRequest{Input: texts, Model: api.EmbeddingModel(model), EncodingFormat: api.EmbeddingEncodingFormatFloat}
	var vectors [][]float32
	err := c.ask(ctx, question{model: model, tokens: guess(size)}, func(ctx context.Context) (int, error) {
		answer, err := c.api.CreateEmbeddings(ctx, request)
		if err != nil {
			return 0, err
		}
		vectors, err = inOrder(answer.Data, len(texts))
		return answer.Usage.TotalTokens, err
	})
	if d, ok := err.(*declined); ok {
		return nil, d.error
	}
	return vectors, err
}

// inOrder gives the vectors in the order of their texts.
func inOrder(data []api.Embedding, n int) ([][]float32, error) {
	out := make([][]float32, n)
	for _, e := range data {
		if e.Index < 0 || e.Index >= n || out[e.Index] != nil || len(e.Embedding) == 0 || len(e.Embedding) != len(data[0].Embedding) {
			return nil, errVectors
		}
		out[e.Index] = e.Embedding
	}
	if len(data) != n {
		return nil, errVectors
	}
	return out, nil
}
