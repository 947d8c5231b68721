package openai

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// model asks a server for completions, many at once. What was asked is answered:
// an error or a stop ends the asking, and answers that are on their way are emitted,
// since they are paid for; after a stop they have Servers.Grace to come.
type model struct {
	client   *Client
	artifact *Artifact
	sampling Sampling
	profile  Profile
	world    lineage.World
	price    tariff
	timeout  time.Duration

	answered      atomic.Bool // once: so it is there
	mu            sync.Mutex
	asked, failed int
	told          sync.Once
}

func newModel(c *Client, a *Artifact, s Sampling, p Profile, w lineage.World) *model {
	c.gate.limit(Server{InFlight: s.Parallel})
	m := &model{client: c, artifact: a, sampling: s, profile: p, world: w}
	m.price.Price, m.price.known = p.Price(a.Model, a.Tuned)
	m.timeout, _ = time.ParseDuration(s.Timeout) // check has read it
	return m
}

// order is a request to the server: for the completions of these requests of ours.
type order []int

// Sample implements lineage.Model.
func (m *model) Sample(ctx context.Context, reqs []lineage.Request, emit func(int, lineage.Completion) error) error {
	for i, r := range reqs {
		if len(r.Messages) == 0 {
			return fmt.Errorf("request %d has no message", i)
		}
	}
	m.mu.Lock()
	m.asked += len(reqs)
	m.mu.Unlock()
	orders, refused := m.orders(reqs), &refusals{model: m}
	if m.sampling.Batch {
		var err error
		if orders, err = m.batch(ctx, reqs, orders, emit, refused); err != nil {
			return err
		}
	}
	if err := m.chat(ctx, reqs, orders, emit, refused); err != nil {
		return err
	}
	return refused.emit(emit)
}

// orders puts requests of equal prompts together, where they share.
func (m *model) orders(reqs []lineage.Request) []order {
	out := make([]order, 0, len(reqs))
	last := map[[32]byte]int{} // of each prompt, its order that is not full
	for i, r := range reqs {
		if m.sampling.Samples == 1 {
			out = append(out, order{i})
			continue
		}
		b := m.body([]lineage.Request{r})
		b.Seed = nil
		data, _ := json.Marshal(b) // numbers and texts
		key := sha256.Sum256(data)
		at, ok := last[key]
		if !ok || len(out[at]) == m.sampling.Samples {
			at = len(out)
			out, last[key] = append(out, nil), at
		}
		out[at] = append(out[at], i)
	}
	return out
}

// outcome is the completion of a request, or why a server will never give it.
type outcome struct {
	i   int
	c   lineage.Completion
	err error
}

// chat asks order by order. Completions are emitted by the caller's goroutine as
// they come.
func (m *model) chat(ctx context.Context, reqs []lineage.Request, orders []order, emit func(int, lineage.Completion) error, refused *refusals) error {
	ctx, abandon := context.WithCancel(ctx)
	defer abandon()
	work, stop := context.WithCancel(ctx) // ended by an error, which what is on its way outlives
	defer stop()
	var once sync.Once
	var first error
	fail := func(err error) { once.Do(func() { first = err; stop() }) }
	outcomes := make(chan outcome)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(m.sampling.Parallel, len(orders)) {
		workers.Go(func() {
			for work.Err() == nil {
				k := int(next.Add(1)) - 1
				if k >= len(orders) {
					return
				}
				if err := m.fill(ctx, work, reqs, orders[k], outcomes); err != nil {
					fail(err)
				}
			}
		})
	}
	go func() { workers.Wait(); close(outcomes) }()
	var broken error // of emit: nothing more is emitted after it
	for o := range outcomes {
		switch {
		case broken != nil:
		case o.err != nil:
			if err := refused.add(o); err != nil {
				fail(err)
			}
		default:
			if broken = emit(o.i, o.c); broken != nil {
				fail(broken)
				abandon()
			}
		}
	}
	if broken != nil {
		return broken
	}
	if first == nil {
		return ctx.Err()
	}
	return first
}

// fill asks until each request of an order has its completion: some servers give
// fewer at once than they are asked for.
func (m *model) fill(ctx, work context.Context, reqs []lineage.Request, o order, out chan<- outcome) error {
	for len(o) > 0 {
		group := m.group(reqs, o)
		got, err := m.ask(ctx, work, group)
		var d *declined
		switch {
		case errors.As(err, &d) && d.finish != "":
			for _, i := range o {
				out <- outcome{i: i, c: lineage.Completion{Finish: d.finish}}
			}
			return nil
		case errors.As(err, &d):
			for _, i := range o {
				out <- outcome{i: i, err: err}
			}
			return nil
		case err != nil:
			return err
		}
		for k, c := range got {
			out <- outcome{i: o[k], c: c}
		}
		if o = o[len(got):]; len(o) > 0 {
			m.told.Do(func() {
				m.world.Log("%s: gave %d of %d completions that it was asked for; the rest is asked for again", m.client.Address(), len(got), len(group))
			})
		}
	}
	return nil
}

// group is the requests of an order.
func (m *model) group(reqs []lineage.Request, o order) []lineage.Request {
	group := make([]lineage.Request, len(o))
	for k, i := range o {
		group[k] = reqs[i]
	}
	return group
}

// ask gets completions of one prompt, one at least.
func (m *model) ask(ctx, work context.Context, group []lineage.Request) (got []lineage.Completion, err error) {
	b := m.body(group)
	if m.sampling.Stream {
		b.Stream, b.StreamOptions = true, map[string]bool{"include_usage": true}
	}
	data, err := b.encode()
	if err != nil {
		return nil, err
	}
	var all answer
	most := len(group) * m.mostTokens(group[0])
	q := question{
		model: m.artifact.Model, tokens: guess(sizeOf(b.Messages)) + most, body: data, wait: work,
		young: m.artifact.Tuned && !m.answered.Load(), longer: m.timeout - m.client.servers.Timeout,
	}
	if !m.price.free() {
		q.spend = m.spend(m.price.most(len(data), len(b.Messages), most), &all)
	}
	err = m.client.ask(ctx, q, func(ctx context.Context) (int, error) {
		all, err = m.client.complete(ctx, b.Model, b.Stream)
		if err == nil {
			err = readWhole(b.Messages, all.usage.PromptTokens)
		}
		return all.usage.TotalTokens, err
	})
	if err != nil {
		return nil, err
	}
	m.answered.Store(true)
	return all.completions(len(group)), nil
}
