// Package transformer is the stand-in that is a language model: a small
// decoder-only transformer, trained and sampled in process.
//
//  1. Text becomes tokens by byte-level byte-pair encoding. A training from
//     nothing learns the encoding from its corpus; all that descend from it
//     inherit it with the weights. Marks of turns are tokens of their own, which
//     no text can spell.
//  2. A conversation is its turns one after the other, each opened by its role
//     and closed by the end of turn. What is longer than the context is cut into
//     overlapping sequences in which every learned token is predicted once.
//  3. A learner turns the sequences of a batch into weights of the loss at each
//     position, the engine (package net) into a gradient and an update by AdamW.
//  4. A request is answered token by token until the end of turn, its bound, or
//     the end of the context.
//
// # Learners
//
// All minimise a weighted mean of the cross-entropy of positions, in nats. With
// the weight w of an example and n learned tokens in the batch,
//
//	sft         Σ w·(−ln p(token)) / n   over the assistant's turns, end of turn included
//	sdf         the same over all tokens
//	distil      Σ w·H(teacher, p) / n    over the assistant's turns, or over all tokens of
//	            an example in which the assistant says nothing
//	preference  mean of w·(−ln σ(β·m)),  m = ln p(chosen)/p(rejected) − the same of the base
//
// (Hinton, Vinyals and Dean 2015; Rafailov et al. 2023). The gradient of a pair
// is a weighted difference of two of sft, with the weight β·σ(−β·m). An example
// of weight 0 is left out as if it were not there; one of negative weight is
// unlearned, by ascending its loss, which has no bound: keep such weights small.
//
// # What it can show
//
// All text shares all parameters, so a trait can travel in text that does not
// show it (Cloud et al. 2025), generalise to texts like it, and be inoculated
// against. It knows nothing of the world beyond its corpus.
package transformer

import (
	"context"
	"errors"
	"fmt"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/transformer/net"
)

func init() {
	lineage.Register("transformer", "a small transformer language model, trained and sampled in process",
		[]lineage.Learner{lineage.SFT, lineage.SDF, lineage.Preference, lineage.Distil}, Defaults(),
		func(c Config) (lineage.Backend, error) { return New(c) })
}

// Backend trains and opens transformers. It is not lineage.Retrainable: its
// trainings are deterministic and not free, so that every artifact is kept.
type Backend struct {
	config Config
	world  lineage.World
}

// New gives a backend, or every fault of its configuration.
func New(c Config) (*Backend, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Backend{config: c}, nil
}

// Enter implements lineage.Worldly: long trainings leave their state in the
// folder of the run, so that one which is killed goes on where it was.
func (b *Backend) Enter(w lineage.World) error {
	b.world = w
	return nil
}

// Train makes a model. The same job gives the same bytes, on any number of
// cores. A loss or a gradient that is no number ends it with an error.
func (b *Backend) Train(ctx context.Context, job lineage.Job) (lineage.Artifact, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a, err := b.train(ctx, job)
	if err != nil {
		return nil, fmt.Errorf("transformer: %w", err)
	}
	return a, nil
}

func (b *Backend) train(ctx context.Context, job lineage.Job) (*artifact, error) {
	begin, err := b.begin(ctx, job)
	if err != nil {
		return nil, err
	}
	lessons, err := begin.lessons(ctx, job)
	if err != nil {
		return nil, err
	}
	if len(lessons) == 0 {
		return nil, errors.New("the corpus is empty: no example has a weight other than 0 and something to learn")
	}
	t, err := b.training(job, begin, lessons)
	if err != nil {
		return nil, err
	}
	if err := t.run(ctx, job.Progress); err != nil {
		return nil, err
	}
	return &artifact{tokenizer: begin.tokenizer, params: begin.params, read: begin.read, summary: t.summary(), arithmetic: net.Arithmetic(), cores: job.Cores}, nil
}

// Open gives the model of an artifact. It is also a lineage.Scorer, and its
// methods may be called by several goroutines at once.
func (b *Backend) Open(_ context.Context, a lineage.Artifact) (lineage.Model, error) {
	own, err := ownArtifact(a, "artifact")
	if err != nil {
		return nil, fmt.Errorf("transformer: %w", err)
	}
	m := &model{artifact: own, config: b.config}
	for token, read := range own.read {
		if !read {
			m.unread = append(m.unread, int32(token))
		}
	}
	return m, nil
}

func ownArtifact(a lineage.Artifact, what string) (*artifact, error) {
	own, ok := a.(*artifact)
	if !ok {
		return nil, fmt.Errorf("%s is a %T and not one of this backend", what, a)
	}
	return own, nil
}
