package serve

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/heirloom-sim/heirloom/lineage"
)

// desks are the models that are open. A model that has not been asked for
// longest makes room.
type desks struct {
	mu    sync.Mutex
	open  map[string]*desk
	order []string // by when they were last asked
}

const mostOpen = 64

// desk is an open model. Requests that arrive while it samples are sampled
// together next, which changes none of them.
type desk struct {
	once  sync.Once
	model lineage.Model
	err   error

	mu      sync.Mutex
	waiting []*asked
	busy    bool
}

type asked struct {
	request lineage.Request
	answer  lineage.Completion
	err     error
	done    chan struct{}
}

func (d *desks) at(name string) *desk {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open == nil {
		d.open = map[string]*desk{}
	}
	if len(d.order) == 0 || d.order[len(d.order)-1] != name {
		if i := slices.Index(d.order, name); i >= 0 {
			d.order = slices.Delete(d.order, i, i+1)
		}
		d.order = append(d.order, name)
	}
	if d.open[name] == nil {
		d.open[name] = &desk{}
		if len(d.order) > mostOpen {
			delete(d.open, d.order[0])
			d.order = slices.Delete(d.order, 0, 1)
		}
	}
	return d.open[name]
}

func (d *desks) close(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, name)
	d.order = slices.DeleteFunc(d.order, func(n string) bool { return n == name })
}

// model finds a model by name and opens it.
func (s *Server) model(param, name string) (*desk, *served, error) {
	s.mu.RLock()
	m := s.state.models[name]
	if m == nil {
		m = s.state.models[s.options.Otherwise]
	}
	var base *Model
	if m != nil {
		if base = m.base; base == nil {
			base = s.state.models[m.root].base
		}
	}
	s.mu.RUnlock()
	if m == nil {
		return nil, nil, missing(param, "model_not_found", "The model `%.200s` does not exist or you do not have access to it.", name)
	}
	d := s.desks.at(m.name)
	d.once.Do(func() {
		a, err := s.artifact(m, *base)
		if err == nil && a == nil {
			err = bad(param, "model_without_weights", "the model %s has no weights: it can be fine-tuned, and its fine-tunes asked", name)
		}
		if err == nil {
			d.model, err = base.Backend.Open(s.ctx, a)
		}
		d.err = err
	})
	return d, m, d.err
}

// sample answers requests, in their order.
func (s *Server) sample(ctx context.Context, d *desk, reqs []lineage.Request) ([]lineage.Completion, error) {
	mine := make([]*asked, len(reqs))
	for i, r := range reqs {
		mine[i] = &asked{request: r, done: make(chan struct{})}
	}
	d.mu.Lock()
	d.waiting = append(d.waiting, mine...)
	if !d.busy {
		d.busy = true
		s.work.Go(func() { d.work(s.ctx) })
	}
	d.mu.Unlock()
	answers := make([]lineage.Completion, len(reqs))
	for i, a := range mine {
		select {
		case <-a.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if a.err != nil {
			return nil, a.err
		}
		answers[i] = a.answer
	}
	return answers, nil
}

// mostTogether bounds what is sampled in one call.
const mostTogether = 256

// work samples until nobody waits.
func (d *desk) work(ctx context.Context) {
	for {
		d.mu.Lock()
		n := min(len(d.waiting), mostTogether)
		if n == 0 {
			d.busy = false
			d.mu.Unlock()
			return
		}
		batch := d.waiting[:n:n]
		d.waiting = d.waiting[n:]
		d.mu.Unlock()
		d.together(ctx, batch)
	}
}

var errUnanswered = errors.New("the model did not answer")

// together samples a batch. Where that fails, each is sampled by itself, so that
// none fails for another.
func (d *desk) together(ctx context.Context, batch []*asked) {
	reqs := make([]lineage.Request, len(batch))
	for i, a := range batch {
		reqs[i] = a.request
	}
	answered := make([]bool, len(batch))
	err := d.model.Sample(ctx, reqs, func(i int, c lineage.Completion) error {
		batch[i].answer, answered[i] = c, true
		return nil
	})
	if err != nil && len(batch) > 1 && ctx.Err() == nil {
		for _, a := range batch {
			d.together(ctx, []*asked{a})
		}
		return
	}
	for i, a := range batch {
		if a.err = err; err == nil && !answered[i] {
			a.err = errUnanswered
		}
		close(a.done)
	}
}
