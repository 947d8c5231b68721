package ngram

import (
	"context"
	"math"
	"sync"
)

// artifact is a corpus as numbers and, once it is counted, its tables.
type artifact struct {
	config Config
	texts  *texts

	mu     sync.Mutex
	tables *tables
}

// tables are what a model reads. They follow from the corpus and the settings.
type tables struct {
	*trie
	*texts
	config   Config
	turns    turns // by prompt
	rule     rule  // of the counts under a prompt
	postings func() *postings
}

// count makes the tables where they are not there yet.
func (a *artifact) count(ctx context.Context) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tables != nil {
		return nil
	}
	trie, err := count(ctx, a.texts, a.config.Order, a.config.Smoothing != KneserNey)
	if err != nil {
		return err
	}
	t := &tables{trie: trie, texts: a.texts, config: a.config}
	t.postings = sync.OnceValue(func() *postings { return newPostings(t.prompts) })
	if a.config.Condition {
		t.turns = turnsByPrompt(a.texts)
	}
	for j := range t.levels {
		l := &t.levels[j]
		if a.config.Smoothing == KneserNey {
			l.rule = l.tally.rule()
		}
		l.gamma = make([]float32, 0, len(l.piece))
		t.free(l)
	}
	if a.config.Condition && a.config.Smoothing == KneserNey {
		t.rule = t.promptRule()
	}
	a.tables = t
	return nil
}

// free fills in what the contexts of a level pass on.
func (t *tables) free(l *level) {
	for i := range l.piece {
		l.gamma = append(l.gamma, float32(t.freed(l, uint32(i))))
	}
}

// freed is the mass of context i that sampling passes to the shorter one.
func (t *tables) freed(l *level, i uint32) float64 {
	_, sum := l.entries(i)
	if len(sum) == 0 {
		return 1
	}
	total := float64(sum[len(sum)-1])
	switch t.config.Smoothing {
	case None:
		return 0
	case Dirichlet:
		kappa := t.kappa()
		return kappa / (total + kappa)
	}
	discounts, before := 0.0, uint32(0)
	for _, s := range sum {
		discounts += l.rule.of(s-before, t.shift)
		before = s
	}
	return discounts / total
}

// kappa is the weight of the shorter context in steps of a count.
func (t *tables) kappa() float64 {
	if t.config.Smoothing != Dirichlet {
		return 0
	}
	return math.Ldexp(t.config.Kappa, int(t.shift))
}
