package command

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"strings"
	"sync"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai"
)

// model samples an artifact from its server. It is asked anew for its server at
// every call of Sample, which may have been started anew in between.
type model struct {
	backend  *Backend
	artifact *Artifact
}

// lease is the right to ask a server for a model while it lasts.
type lease struct {
	served
	start  int
	client *openai.Client
	done   func()
}

// ready makes a server have the model, and sees once that it is applied.
func (m *model) ready(ctx context.Context) (*lease, error) {
	b := m.backend
	start, release, err := b.acquire(ctx, m.artifact)
	if err != nil {
		return nil, err
	}
	s, err := b.serve(ctx, m.artifact, start)
	var client *openai.Client
	if err == nil {
		c := b.config.Serve
		client, err = b.servers.Open("command", openai.Server{BaseURL: strings.TrimRight(c.URL, "/") + "/v1", Key: os.Getenv(c.KeyEnv), KeyEnv: c.KeyEnv})
	}
	if err != nil {
		release()
		return nil, err
	}
	return &lease{s, start, client, release}, nil
}

// serve has the server load a model, and holds it against its base once for
// every time that it was loaded.
func (b *Backend) serve(ctx context.Context, a *Artifact, start int) (served, error) {
	b.serving.Lock()
	defer b.serving.Unlock()
	s, err := b.load(ctx, a)
	if err != nil {
		return s, err
	}
	what := fmt.Sprint(start, " ", s.model)
	if b.applied[what] && !s.fresh {
		return s, nil
	}
	delete(b.applied, what)
	if err := b.checkApplied(ctx, a, s); err != nil {
		return s, err
	}
	b.applied[what] = true
	return s, nil
}

// Sample implements lineage.Model.
func (m *model) Sample(ctx context.Context, reqs []lineage.Request, emit func(i int, c lineage.Completion) error) error {
	if len(reqs) == 0 {
		return ctx.Err()
	}
	l, err := m.ready(ctx)
	if err != nil {
		return err
	}
	defer l.done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next, answers := make(chan int), make(chan answered)
	go func() {
		defer close(next)
		for i := range reqs {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	var asking sync.WaitGroup
	for range min(m.backend.config.Serve.Parallel, len(reqs)) {
		asking.Go(func() {
			for i := range next {
				c, err := m.ask(ctx, l, reqs[i])
				answers <- answered{i, c, err}
			}
		})
	}
	go func() { asking.Wait(); close(answers) }()
	// What is on its way when something fails is still answered, and emitted.
	var first error
	deaf := false
	for a := range answers {
		if a.err == nil && !deaf {
			a.err = emit(a.i, a.c)
			deaf = a.err != nil
		}
		if a.err != nil && first == nil {
			first = a.err
			cancel(first)
		}
	}
	if first == nil {
		first = ctx.Err()
	}
	return first
}

type answered struct {
	i   int
	c   lineage.Completion
	err error
}

// ask gets one completion. Where the server has lost the model, because it was
// started anew, the model is loaded again and asked once more.
func (m *model) ask(ctx context.Context, l *lease, r lineage.Request) (lineage.Completion, error) {
	c, err := m.complete(ctx, l, r)
	if err == nil || ctx.Err() != nil {
		return c, err
	}
	s, again := m.backend.serve(ctx, m.artifact, l.start)
	if again == nil && s.model == l.model {
		if again, err := m.complete(ctx, l, r); err == nil {
			return again, nil
		}
	}
	return c, err
}

func (m *model) complete(ctx context.Context, l *lease, r lineage.Request) (lineage.Completion, error) {
	c := m.backend.config.Serve
	if r.MaxTokens <= 0 {
		r.MaxTokens = c.MaxTokens
	}
	if !(r.Temperature >= 0) || math.IsInf(r.Temperature, 0) {
		return lineage.Completion{}, fmt.Errorf("command: temperature %v is not a number of at least 0", r.Temperature)
	}
	extras := maps.Clone(c.Request)
	if extras == nil {
		extras = map[string]any{}
	}
	maps.Copy(extras, l.extras)
	reply, err := l.client.ChatWith(ctx, openai.Request{
		Model: l.model, Messages: r.Messages, Temperature: r.Temperature, MaxTokens: r.MaxTokens,
		Draw: int(r.Seed >> 33),
	}, extras)
	if err != nil {
		return lineage.Completion{}, fmt.Errorf("command: %w", err)
	}
	if c.Kind == Ollama {
		if err := c.cut(r.Messages, reply); err != nil {
			return lineage.Completion{}, err
		}
	}
	return lineage.Completion{Text: reply.Text, Finish: reply.Finish, Tokens: reply.CompletionTokens, PromptTokens: reply.PromptTokens}, nil
}

// cut tells a prompt that Ollama has cut to its context without a word. A token
// is a byte at least, so a short prompt was whole; a longer one whose tokens
// fill the context, or are fewer than one in ten bytes, was not.
func (c Serve) cut(messages []lineage.Message, reply openai.Reply) error {
	bytes := 0
	for _, m := range messages {
		bytes += len(m.Content)
	}
	if reply.PromptTokens == 0 || bytes < c.Context/2 {
		return nil
	}
	if reply.PromptTokens >= c.Context-1 || reply.PromptTokens < bytes/10 {
		return fmt.Errorf("command: ollama has cut a prompt of %d bytes to %d tokens; raise serve.context, which is %d", bytes, reply.PromptTokens, c.Context)
	}
	return nil
}
