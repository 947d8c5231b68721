package openai

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"

	"github.com/heirloom-sim/heirloom/lineage"
	api "github.com/sashabaranov/go-openai"
)

// wallet reserves money for the requests of one client. What is reserved is the
// most that a request can cost, which is far above what most do; so one that
// does not fit under the cap waits for those on their way before it gives up.
type wallet struct {
	mu      sync.Mutex
	out     int           // reservations that are not settled
	settled chan struct{} // closed when one is, and replaced
}

func (w *wallet) reserve(ctx context.Context, purse lineage.Purse, most lineage.USD, what string) (settle func(lineage.USD) error, err error) {
	for {
		w.mu.Lock()
		settle, err := purse.Reserve(most, what)
		if err == nil {
			w.out++
		}
		out, next := w.out, w.next()
		w.mu.Unlock()
		if err == nil {
			return func(actual lineage.USD) error { defer w.free(); return settle(actual) }, nil
		}
		if out == 0 || !errors.Is(err, lineage.ErrBudget) {
			return nil, err
		}
		select {
		case <-next:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (w *wallet) next() chan struct{} {
	if w.settled == nil {
		w.settled = make(chan struct{})
	}
	return w.settled
}

func (w *wallet) free() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out--
	close(w.next())
	w.settled = nil
}

// tariff is what a model costs, as far as it is known.
type tariff struct {
	Price
	known bool
	batch bool // at half the price
}

// free tells that there is nothing to reserve.
func (t tariff) free() bool { return !t.known || t.Input == 0 && t.Output == 0 }

// most is what a request of so many bytes in so many messages can cost: no token
// is shorter than a byte, and a message has some of its own.
func (t tariff) most(bytes, messages, answer int) lineage.USD {
	return t.of(bytes+16*messages+64, 0, answer)
}

// actual is what an answer costs; of one that does not tell, what it can cost.
func (t tariff) actual(u api.Usage, most lineage.USD) lineage.USD {
	if u.PromptTokens == 0 && u.CompletionTokens == 0 {
		return most
	}
	cached := 0
	if d := u.PromptTokensDetails; d != nil && t.Cached > 0 {
		cached = min(max(0, d.CachedTokens), u.PromptTokens)
	}
	return t.of(u.PromptTokens-cached, cached, u.CompletionTokens)
}

func (t tariff) of(prompt, cached, answer int) lineage.USD {
	sum := cost(prompt, t.Input) + cost(cached, t.Cached) + cost(answer, t.Output)
	if t.batch {
		sum = (sum + 1) / 2
	}
	return sum
}

// spend reserves the most that a request can cost. A server that refuses takes
// nothing; an answer that never came may have been charged, and counts whole.
func (m *model) spend(most lineage.USD, got *answer) spending {
	return func(ctx context.Context) (func(*attempt, error) error, error) {
		*got = answer{}
		settle, err := m.client.wallet.reserve(ctx, m.world.Purse, most, "a request to "+m.artifact.Model)
		if err != nil {
			return nil, err
		}
		return func(a *attempt, err error) error {
			if a.status >= http.StatusBadRequest || a.status == 0 && unsent(a, err) {
				return settle(0)
			}
			return settle(m.price.actual(got.usage, most))
		}, nil
	}
}

// unsent tells an attempt that never reached its server.
func unsent(a *attempt, err error) bool {
	var dial *net.OpError
	return !a.sent || hopeless(err) || errors.As(err, &dial) && dial.Op == "dial"
}
