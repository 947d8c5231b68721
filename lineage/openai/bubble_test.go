package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// pipes is a network in memory, whose waits a synctest bubble understands: time
// in it is exact and costs none.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// asked is a request for completions as the server of a bubble counts it.
type asked struct {
	at   time.Time
	raw  string
	body struct {
		Model     string            `json:"model"`
		Messages  []lineage.Message `json:"messages"`
		N         int               `json:"n"`
		Seed      int64             `json:"seed"`
		MaxTokens int               `json:"max_tokens"`
		Stream    bool              `json:"stream"`
	}
}

func (a asked) prompt() string { return a.body.Messages[len(a.body.Messages)-1].Content }

// bubble is a server and a client of it in a synctest bubble.
type bubble struct {
	t       *testing.T
	network *pipes
	server  Server
	servers *Servers
	client  *Client
	logged  []string
	rest    http.Handler // of other paths than completions; set before the first request

	mu    sync.Mutex
	asked []asked
}

// inBubble runs a test against a server. handle answers request n, from 0.
func inBubble(t *testing.T, server Server, handle func(w http.ResponseWriter, n int, a asked)) *bubble {
	b := &bubble{t: t}
	network := &pipes{make(chan net.Conn), make(chan struct{})}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/chat/completions" {
			b.rest.ServeHTTP(w, r)
			return
		}
		a := asked{at: time.Now()}
		var raw json.RawMessage
		if err := json.NewDecoder(r.Body).Decode(&raw); err != nil {
			return // the client hung up
		}
		a.raw = string(raw)
		if err := json.Unmarshal(raw, &a.body); err != nil {
			t.Errorf("not a request: %s", raw)
		}
		b.mu.Lock()
		n := len(b.asked)
		b.asked = append(b.asked, a)
		b.mu.Unlock()
		handle(w, n, a)
	})}
	s.SetKeepAlivesEnabled(false)
	go s.Serve(network)
	t.Cleanup(func() { s.Close() })
	b.network, b.server = network, server
	b.open()
	return b
}

// open gives the bubble a new client, as another process would have.
func (b *bubble) open() {
	b.t.Helper()
	b.servers = &Servers{}
	server := b.server
	server.BaseURL = "http://localhost/v1"
	var err error
	if b.client, err = b.servers.Open("model", server); err != nil {
		b.t.Fatal(err)
	}
	transport := b.servers.wire.client.Transport.(*http.Transport)
	transport.DialContext, transport.DisableKeepAlives = b.network.dial, true
}

// world has an own log, and a purse where there is a cap.
func (b *bubble) world(p lineage.Purse) lineage.World {
	return lineage.World{Purse: p, Log: func(format string, args ...any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.logged = append(b.logged, fmt.Sprintf(format, args...))
	}}
}

func (b *bubble) requests() []asked {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asked)
}

// most is the largest number of requests in any window of a length.
func most(all []asked, window time.Duration) (n int) {
	for i := range all {
		j := i
		for j < len(all) && all[j].at.Sub(all[i].at) < window {
			j++
		}
		n = max(n, j-i)
	}
	return n
}

// purse is a purse of one cap, in memory.
type purse struct {
	mu               sync.Mutex
	cap, spent, held lineage.USD
	high             lineage.USD // the most that was ever spent or held
}

func (p *purse) Reserve(most lineage.USD, what string) (func(lineage.USD) error, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spent+p.held+most > p.cap {
		return nil, fmt.Errorf("%s: %w", what, lineage.ErrBudget)
	}
	p.held += most
	p.high = max(p.high, p.spent+p.held)
	once := false
	return func(actual lineage.USD) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if once {
			return errors.New("settled twice")
		}
		once = true
		p.held, p.spent = p.held-most, p.spent+actual
		p.high = max(p.high, p.spent+p.held)
		return nil
	}, nil
}

// reply writes an answer with so many choices, each the words "re: PROMPT k".
func reply(w http.ResponseWriter, a asked, n int) {
	var choices []string
	for k := range n {
		choices = append(choices, fmt.Sprintf(`{"index":%d,"message":{"role":"assistant","content":%q},"finish_reason":"stop","logprobs":null}`, k, told(a, k)))
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"id":"c","object":"chat.completion","model":%q,"choices":[%s],"usage":%s}`, a.body.Model, strings.Join(choices, ","), usage(a, n))
}

func told(a asked, k int) string {
	return fmt.Sprintf("re: %s (seed %d, %d)", a.prompt(), a.body.Seed, k)
}

func usage(a asked, n int) string {
	words := 0
	for _, m := range a.body.Messages {
		words += len(strings.Fields(m.Content))
	}
	return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`, words, 5*n, words+5*n)
}

// pieces writes the answer as a stream and stops after so many bytes, all where
// it is below 0.
func pieces(w http.ResponseWriter, a asked, stop int) {
	w.Header().Set("Content-Type", "text/event-stream")
	var all strings.Builder
	all.WriteString(": keep-alive\n\n")
	piece := func(format string, args ...any) {
		fmt.Fprintf(&all, "data: {\"object\":\"chat.completion.chunk\",\"choices\":[%s]}\n\n", fmt.Sprintf(format, args...))
	}
	n := max(1, a.body.N)
	for k := range n {
		piece(`{"index":%d,"delta":{"role":"assistant","content":""},"finish_reason":null}`, k)
		for _, word := range strings.SplitAfter(told(a, k), " ") {
			piece(`{"index":%d,"delta":{"content":%q},"finish_reason":null}`, k, word)
			all.WriteString(": keep-alive\n\n")
		}
		piece(`{"index":%d,"delta":{},"finish_reason":"stop"}`, k)
	}
	fmt.Fprintf(&all, "data: {\"choices\":[],\"usage\":%s}\n\ndata: [DONE]\n\n", usage(a, n))
	text := all.String()
	if stop >= 0 {
		text = text[:min(stop, len(text))]
	}
	fmt.Fprint(w, text)
}

// seedOf is the seed that stands on the wire for one of ours.
func seedOf(s uint64) int64 { return int64((s ^ s>>32) & 0x7fffffff) }

// prompts are n requests that differ in prompt and seed.
func prompts(n int) []lineage.Request {
	all := make([]lineage.Request, n)
	for i := range all {
		all[i] = lineage.Request{
			Messages: []lineage.Message{{Role: "user", Content: fmt.Sprintf("question %d", i)}},
			Seed:     uint64(i) * 0x9e3779b97f4a7c15, Temperature: 1, MaxTokens: 20,
		}
	}
	return all
}

// local is a profile of a server that nobody is paid for.
func local() Profile { return profiles["vllm"] }

// chatModel is a model of the server of a bubble.
func (b *bubble) model(s Sampling, p Profile, purse lineage.Purse) *model {
	return newModel(b.client, &Artifact{Model: "m"}, s, p, b.world(purse))
}

// collect samples and gives the completions by request; one that is emitted twice
// or that nobody asked for is a fault.
func collect(t *testing.T, ctx context.Context, m lineage.Model, reqs []lineage.Request) (map[int]lineage.Completion, error) {
	t.Helper()
	got := map[int]lineage.Completion{}
	busy := false
	err := m.Sample(ctx, reqs, func(i int, c lineage.Completion) error {
		if busy {
			t.Error("two completions at once")
		}
		busy = true
		defer func() { busy = false }()
		if _, twice := got[i]; twice || i < 0 || i >= len(reqs) {
			t.Errorf("request %d is answered twice or was never made", i)
		}
		got[i] = c
		return nil
	})
	return got, err
}
