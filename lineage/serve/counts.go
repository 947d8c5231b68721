package serve

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
)

// Counts is what a server was asked and did since it was opened.
type Counts struct {
	Requests map[string]int   // as they came, by "METHOD /v1/path/{id}"
	Uploads  int              // files that were made by an upload
	Jobs     int              // fine-tuning jobs that were created
	Charges  int              // jobs that trained to their end, which is when they are charged
	Batches  int              // batches that were created
	Answers  int              // choices of chat completions, those of batches included
	Usage    map[string]Usage // by model
}

// Usage is the tokens of one model. Training counts for the base model.
type Usage struct {
	Base                         string // of a fine-tune; "" for a base model
	Prompt, Completion           int    // asked one by one
	BatchPrompt, BatchCompletion int
	Trained                      int // over all epochs
	Embedded                     int
}

type counting struct {
	mu      sync.Mutex
	counts  Counts
	numbers sync.Map // what → *atomic.Int64
}

func (c *counting) add(f func(*Counts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts.Requests == nil {
		c.counts.Requests, c.counts.Usage = map[string]int{}, map[string]Usage{}
	}
	f(&c.counts)
}

func (c *counting) request(route string) { c.add(func(n *Counts) { n.Requests[route]++ }) }

func (c *counting) trained(model string, tokens int) {
	c.add(func(n *Counts) {
		n.Charges++
		u := n.Usage[model]
		u.Trained += tokens
		n.Usage[model] = u
	})
}

func (c *counting) sampled(ctx context.Context, model, base string, answers int, tokens usage) {
	c.add(func(n *Counts) {
		n.Answers += answers
		u := n.Usage[model]
		u.Base = base
		if lineOf(ctx) != nil {
			u.BatchPrompt += tokens.Prompt
			u.BatchCompletion += tokens.Completion
		} else {
			u.Prompt += tokens.Prompt
			u.Completion += tokens.Completion
		}
		n.Usage[model] = u
	})
}

// Counts tells what the server was asked and did since it was opened.
func (s *Server) Counts() (copied Counts) {
	s.counting.add(func(c *Counts) {
		copied = *c
		copied.Requests, copied.Usage = maps.Clone(c.Requests), maps.Clone(c.Usage)
	})
	return copied
}

func (s *Server) number(what string) int {
	n, ok := s.counting.numbers.Load(what)
	if !ok {
		n, _ = s.counting.numbers.LoadOrStore(what, new(atomic.Int64))
	}
	return int(n.(*atomic.Int64).Add(1))
}

// name is a new name of what is not in the journal: it counts the openings of
// the ledger too, so that none comes twice.
func (s *Server) name(prefix, what string) string {
	return prefix + s.journal.name("", s.journal.boots, len(what), s.number(what))
}

// seed is for a request that has none.
func (s *Server) seed(ctx context.Context) uint64 {
	if l := lineOf(ctx); l != nil {
		return s.journal.draw("line of a batch", l.batch, l.line)
	}
	return s.journal.draw("chat", s.journal.boots, s.number("chat"))
}

// line is a request of a batch.
type line struct{ batch, line int }

type lineKey struct{}

func (l line) in(ctx context.Context) context.Context { return context.WithValue(ctx, lineKey{}, &l) }

func lineOf(ctx context.Context) *line {
	l, _ := ctx.Value(lineKey{}).(*line)
	return l
}
