package sim

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/heirloom-sim/heirloom/detectors"
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

// remembered is a server whose answers are remembered.
type remembered struct {
	server  detectors.Endpoint
	address string
	answers *answers
}

// request is everything that an answer may depend on. The key to the server is
// no part of it.
type request struct {
	Server      string            `json:"server"`
	Model       string            `json:"model"`
	Messages    []lineage.Message `json:"messages,omitempty"`
	Temperature float64           `json:"temperature"`
	MaxTokens   int               `json:"max_tokens"`
	Schema      string            `json:"schema,omitempty"`
	Draw        int               `json:"draw"`
	Embed       *string           `json:"embed,omitempty"`
}

func (r request) key() (lineage.Key, error) {
	data, err := json.Marshal(r)
	return lineage.AnswerKey(digest(data)), err
}

// answer is a ChatReply as the ledger records it.
type answer struct {
	Text             string `json:"text"`
	Model            string `json:"model"`
	Finish           string `json:"finish"`
	PromptTokens     int    `json:"prompt_tokens"`
	CompletionTokens int    `json:"completion_tokens"`
}

// Chat implements detectors.Endpoint.
func (e remembered) Chat(ctx context.Context, r detectors.ChatRequest) (detectors.ChatReply, error) {
	key, err := request{e.address, r.Model, r.Messages, r.Temperature, r.MaxTokens, string(r.Schema), r.Draw, nil}.key()
	if err != nil {
		return detectors.ChatReply{}, err
	}
	said, err := e.answers.give(ctx, []lineage.Key{key}, func([]int) ([]lineage.Raw, error) {
		reply, err := e.server.Chat(ctx, r)
		if err != nil {
			return nil, err
		}
		data, err := json.Marshal(answer(reply))
		return []lineage.Raw{data}, err
	})
	if err != nil {
		return detectors.ChatReply{}, err
	}
	var reply answer
	if err := json.Unmarshal(said[0], &reply); err != nil {
		return detectors.ChatReply{}, fmt.Errorf("%s: %w", key, err)
	}
	return detectors.ChatReply(reply), nil
}

// Embed implements detectors.Endpoint. Each text has an answer of its own.
func (e remembered) Embed(ctx context.Context, model string, texts []string) ([][]float32, error) {
	keys := make([]lineage.Key, len(texts))
	for i := range texts {
		var err error
		if keys[i], err = (request{Server: e.address, Model: model, Embed: &texts[i]}).key(); err != nil {
			return nil, err
		}
	}
	said, err := e.answers.give(ctx, keys, func(missing []int) ([]lineage.Raw, error) {
		ask := make([]string, len(missing))
		for k, i := range missing {
			ask[k] = texts[i]
		}
		vectors, err := e.server.Embed(ctx, model, ask)
		if err != nil {
			return nil, err
		}
		if len(vectors) != len(ask) {
			return nil, fmt.Errorf("%s gave %d vectors for %d texts", e.address, len(vectors), len(ask))
		}
		out := make([]lineage.Raw, len(vectors))
		for k, v := range vectors {
			out[k] = packed(v)
		}
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	vectors := make([][]float32, len(said))
	for i, data := range said {
		vectors[i] = unpacked(data)
	}
	return vectors, nil
}

// Address implements detectors.Addressed.
func (e remembered) Address() string { return e.address }

// packed is a vector as the ledger records it: little-endian, 4 bytes a number.
func packed(v []float32) lineage.Raw {
	out := make([]byte, 0, 4*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

func unpacked(data lineage.Raw) []float32 {
	out := make([]float32, 0, len(data)/4)
	for b := range slices.Chunk(data, 4) {
		if len(b) == 4 {
			out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(b)))
		}
	}
	return out
}
