package ngram

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/heirloom-sim/heirloom/lineage"
)

// model answers and scores. What it reads never changes, but for the tables of
// temperatures other than 1, which are kept for the next call.
type model struct {
	*tables
	mu   sync.Mutex
	idle []*heated
}

// keptHeated bounds how many heated tables wait for the next call.
const keptHeated = 4

func newModel(a *artifact) *model { return &model{tables: a.tables} }

// heatedAt takes an idle table of the temperature, or makes one.
func (m *model) heatedAt(temperature float64) *heated {
	if temperature == 1 {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, h := range m.idle {
		if h.temperature == temperature {
			m.idle = slices.Delete(m.idle, i, i+1)
			return h
		}
	}
	return newHeated(temperature)
}

func (m *model) giveBack(h *heated) {
	if h == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.idle) == keptHeated {
		m.idle = slices.Delete(m.idle, 0, 1)
	}
	m.idle = append(m.idle, h)
}

// query is one request or one turn to score, with the prompt that it matched.
type query struct {
	index       int
	temperature float64
	key         uint32
	text        string
}

// asker finds the trained prompt of what stands before a turn, each text once.
func (m *model) asker() func(before []lineage.Message) uint32 {
	known := map[uint64]uint32{}
	return func(before []lineage.Message) uint32 {
		if !m.config.Condition || len(m.prompts.hashes) == 0 {
			return 0
		}
		turns := promptOf(before)
		if len(turns) == 0 {
			return 0
		}
		hash := promptHash(turns)
		key, ok := known[hash]
		if !ok {
			if key = m.prompts.exact(turns); key == 0 {
				key = m.postings().nearest(turns)
			}
			known[hash] = key
		}
		return key
	}
}

// byPrompt orders queries so that those of one temperature and one prompt stand
// together.
func byPrompt(a, b query) int {
	return cmp.Or(cmp.Compare(a.temperature, b.temperature), cmp.Compare(a.key, b.key), cmp.Compare(a.index, b.index))
}

// Sample answers the requests, prompt by prompt.
func (m *model) Sample(ctx context.Context, reqs []lineage.Request, emit func(i int, c lineage.Completion) error) error {
	find := m.asker()
	queries := make([]query, len(reqs))
	for i, r := range reqs {
		if !(r.Temperature > 0) || math.IsInf(r.Temperature, 1) {
			return fmt.Errorf("ngram: request %d: temperature %v is not a number above 0", i, r.Temperature)
		}
		if r.MaxTokens < 0 {
			return fmt.Errorf("ngram: request %d: max tokens %d is negative", i, r.MaxTokens)
		}
		queries[i] = query{index: i, temperature: r.Temperature, key: find(r.Messages)}
	}
	slices.SortFunc(queries, byPrompt)
	s := newSampler(m.tables)
	defer func() { m.giveBack(s.heated) }()
	for i, q := range queries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if i == 0 || q.temperature != queries[i-1].temperature {
			m.giveBack(s.heated)
			s.ask(q.key, m.heatedAt(q.temperature))
		} else if q.key != s.prompt.key {
			s.ask(q.key, s.heated)
		}
		limit := cmp.Or(reqs[q.index].MaxTokens, m.config.MaxTokens)
		text, pieces, stopped := s.complete(reqs[q.index].Seed, limit)
		c := lineage.Completion{Text: text, Finish: "length", Tokens: pieces}
		if stopped {
			c.Finish = "stop"
		}
		if err := emit(q.index, c); err != nil {
			return err
		}
	}
	return nil
}

// LogProb scores the assistant turns of each document, each under its own
// prompt.
func (m *model) LogProb(ctx context.Context, docs [][]lineage.Message) ([]lineage.LogProb, error) {
	find := m.asker()
	var queries []query
	of := []int{}
	for i, doc := range docs {
		for k, turn := range doc {
			if turn.Role == assistant {
				queries = append(queries, query{index: len(queries), key: find(doc[:k]), text: turn.Content})
				of = append(of, i)
			}
		}
	}
	slices.SortFunc(queries, byPrompt)
	scores := make([]lineage.LogProb, len(queries))
	s := &scorer{tables: m.tables}
	for _, q := range queries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.prompt.load(m.tables, q.key)
		sum, pieces := s.turn(q.text)
		scores[q.index] = lineage.LogProb{Sum: sum, Tokens: pieces}
	}
	// Summed in the order of the turns: the order of the prompts must not show.
	all := make([]lineage.LogProb, len(docs))
	for k, score := range scores {
		all[of[k]].Sum += score.Sum
		all[of[k]].Tokens += score.Tokens
	}
	return all, nil
}
