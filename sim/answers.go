package sim

import (
	"context"
	"errors"
	"sync"

	"github.com/heirloom-sim/heirloom/lineage"
)

// answers remember what servers said, so that nothing is asked or paid for twice
// and an answer, once given, stays. During a run they are records of its ledger,
// written before they are used; outside of one they are held in memory.
type answers struct {
	mu     sync.Mutex
	ledger lineage.Ledger // nil outside a run
	held   map[lineage.Key]lineage.Raw
	asking map[lineage.Key]*pending
}

// pending is a request that somebody has asked: data or err is there when done
// is closed.
type pending struct {
	done chan struct{}
	data lineage.Raw
	err  error
}

func newAnswers() *answers {
	return &answers{held: map[lineage.Key]lineage.Raw{}, asking: map[lineage.Key]*pending{}}
}

// bind has answers recorded in a ledger from here on; nil ends that.
func (a *answers) bind(l lineage.Ledger) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ledger = l
}

// give answers requests by their keys. ask is called for those that nobody has
// answered or is asking; equal requests wait for it.
func (a *answers) give(ctx context.Context, keys []lineage.Key, ask func(missing []int) ([]lineage.Raw, error)) ([]lineage.Raw, error) {
	out := make([]lineage.Raw, len(keys))
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		all, mine := a.claim(keys)
		a.settle(keys, all, mine, ask)
		again := false
		for i, p := range all {
			select {
			case <-p.done:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			if errors.Is(p.err, context.Canceled) && ctx.Err() == nil {
				again = true // whoever asked was stopped, and we are not
			} else if p.err != nil {
				return nil, p.err
			}
			out[i] = p.data
		}
		if !again {
			return out, nil
		}
	}
}

// claim enters the requests that nobody is asking as ours.
func (a *answers) claim(keys []lineage.Key) (all []*pending, mine []int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, key := range keys {
		p := a.asking[key]
		if p == nil {
			p = &pending{done: make(chan struct{})}
			a.asking[key] = p
			mine = append(mine, i)
		}
		all = append(all, p)
	}
	return all, mine
}

// settle gives the requests that are ours their answers, or all those that are
// not recorded the error.
func (a *answers) settle(keys []lineage.Key, all []*pending, mine []int, ask func([]int) ([]lineage.Raw, error)) {
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, i := range mine {
			delete(a.asking, keys[i])
			close(all[i].done)
		}
	}()
	var missing []int
	for _, i := range mine {
		var ok bool
		if all[i].data, ok, all[i].err = a.recall(keys[i]); !ok && all[i].err == nil {
			missing = append(missing, i)
		}
	}
	if len(missing) == 0 {
		return
	}
	said, err := ask(missing)
	for k, i := range missing {
		if all[i].err = err; err == nil {
			all[i].data, all[i].err = said[k], a.keep(keys[i], said[k])
		}
	}
}

// recall looks an answer up. One that was given before there was a ledger is
// recorded now.
func (a *answers) recall(key lineage.Key) (data lineage.Raw, ok bool, err error) {
	a.mu.Lock()
	ledger, held := a.ledger, a.held[key]
	a.mu.Unlock()
	if ledger == nil {
		return held, held != nil, nil
	}
	if ok, err = ledger.Load(key, &data); ok || err != nil || held == nil {
		return data, ok, err
	}
	return held, true, ledger.Save(key, held)
}

func (a *answers) keep(key lineage.Key, data lineage.Raw) error {
	a.mu.Lock()
	ledger := a.ledger
	if ledger == nil {
		a.held[key] = data
	}
	a.mu.Unlock()
	if ledger == nil {
		return nil
	}
	return ledger.Save(key, data)
}
