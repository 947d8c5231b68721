package openai

import (
	"errors"
	"strconv"

	"github.com/heirloom-sim/heirloom/lineage"
)

// most is the most that training on so many tokens a pass can cost, 0 where no
// price or no number of passes is known: nothing can be set aside then.
func (b *Backend) most(tokens int) lineage.USD {
	price, _ := b.profile.Price(b.config.Model, true)
	epochs, err := strconv.Atoi(b.config.Epochs)
	if err != nil {
		return 0
	}
	return cost(tokens*epochs, price.Train)
}

// Quote implements lineage.Quoter. Nobody is asked.
func (b *Backend) Quote(w lineage.Work) lineage.Quote {
	tuned := w.Learner == lineage.SFT || w.Learner == lineage.Preference
	price, known := b.profile.Price(b.config.Model, tuned)
	q := lineage.Quote{Priced: known, Basis: price.Basis}
	if tuned {
		epochs, err := strconv.Atoi(b.config.Epochs)
		if err != nil {
			epochs, q.Unbounded = maxEpochs, "epochs: auto"
		}
		q.Tokens = w.TrainTokens * epochs
	}
	if b.profile.Local && b.profile.Given == nil {
		return q
	}
	prompt, answer := b.asked(w)
	if q.Priced = known && (q.Tokens == 0 || price.Train > 0) && (w.Requests == 0 || price.Input > 0 && price.Output > 0); !q.Priced {
		return lineage.Quote{Tokens: q.Tokens, Unbounded: q.Unbounded}
	}
	q.Most = cost(q.Tokens, price.Train) + tariff{Price: price, known: true, batch: b.config.Batch && b.profile.Batch}.of(prompt, 0, answer)
	return q
}

// asked are the tokens of prompts, with the documents that stand before them, and
// of answers at most.
func (b *Backend) asked(w lineage.Work) (prompt, answer int) {
	prompt, answer = w.PromptTokens, w.AnswerTokens
	if answer == 0 {
		answer = w.Requests * b.config.MaxTokens
	}
	if w.Learner == lineage.Prompted && w.Documents > 0 {
		shots := b.config.Context
		if b.config.Shots > 0 {
			shots = min(shots, b.config.Shots)
		}
		prompt += w.Requests * min(shots, w.Documents) * w.TrainTokens / w.Documents
	}
	return prompt, answer
}

// reserve sets the most aside that the job can cost. One that a process which died
// had set aside in the same words is taken up.
func (t *training) reserve() (err error) {
	if t.settle == nil {
		t.settle, err = t.world.Purse.Reserve(t.h.Most, t.h.work())
	}
	if t.h.Job != "" && errors.Is(err, lineage.ErrBudget) {
		t.settle, err = func(lineage.USD) error { return nil }, nil // the money is gone: it counts as reserved
	}
	return err
}

// pay settles what a training came to, once: where the process dies in between it
// counts twice, and never not at all.
func (t *training) pay() error {
	if t.h.Paid || t.h.Since == 0 {
		return nil
	}
	if err := t.reserve(); err != nil {
		return err
	}
	if err := t.settle(t.h.Cost); err != nil {
		return err
	}
	t.h.Paid = true
	return t.save(t.h.Step)
}

// charge is what the provider asks for the tokens that it trained on.
func (t *training) charge(tokens int) lineage.USD {
	price, _ := t.profile.Price(t.config.Model, true)
	return cost(tokens, price.Train)
}
