package serve

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// How long the states of a job last at least, by the server's clock.
const (
	validatingTime = 10 * time.Second
	queuedTime     = 30 * time.Second
	runningTime    = 2 * time.Minute
	tokensASecond  = 10_000
)

// begin takes a job up. The server is locked.
func (s *Server) begin(j *job) {
	var ctx context.Context
	ctx, j.end = context.WithCancel(s.ctx)
	s.work.Go(func() {
		defer j.end()
		err := s.course(ctx, j)
		if err == nil || ctx.Err() != nil {
			return
		}
		e := failure(err)
		s.options.Log("%s failed: %s", j.ID, e.Message)
		if err := s.advance(ctx, j, func(int) (entry, error) {
			return entry{Step: &step{Job: j.ID, Status: failed, Error: e}}, nil
		}); err != nil && ctx.Err() == nil {
			s.options.Log("%s: %v", j.ID, err)
		}
	})
}

// failure is an error as a job tells it.
func failure(err error) *jobError {
	var p *problem
	var b *lineage.Blocked
	switch {
	case errors.As(err, &p):
		return &jobError{p.code, p.message, optional(p.param)}
	case errors.As(err, &b):
		return &jobError{b.Code, b.Message, nil}
	}
	return &jobError{"internal_error", err.Error(), nil}
}

// course takes a job from where it stands to its end.
func (s *Server) course(ctx context.Context, j *job) error {
	s.mu.RLock()
	at := j.status
	if at == paused {
		at = j.before
	}
	s.mu.RUnlock()
	if at == validating {
		if err := s.clock.sleep(ctx, validatingTime); err != nil {
			return err
		}
	}
	work, err := s.prepare(j)
	if err != nil {
		return err
	}
	to := func(t step) error {
		return s.advance(ctx, j, func(int) (entry, error) { t.Job = j.ID; return entry{Step: &t}, nil })
	}
	if at == validating {
		if err := s.fated(ctx, j, validating); err != nil {
			return err
		}
		if err := to(step{Status: queued}); err != nil {
			return err
		}
		at = queued
	}
	if at == queued {
		if err := s.clock.sleep(ctx, queuedTime); err != nil {
			return err
		}
		if err := s.fated(ctx, j, queued); err != nil {
			return err
		}
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if at == queued {
		if err := to(step{Status: running, Used: j.Set.resolved(len(work.examples))}); err != nil {
			return err
		}
	}
	return s.train(ctx, j, work)
}

// advance commits an entry for a job once the job is not paused.
func (s *Server) advance(ctx context.Context, j *job, of func(n int) (entry, error)) error {
	for {
		s.mu.Lock()
		if j.status != paused {
			defer s.mu.Unlock()
			if ctx.Err() != nil {
				return ctx.Err()
			}
			e, err := of(s.journal.next)
			if err != nil {
				return err
			}
			return s.commitLocked(func(int) entry { return e })
		}
		s.mu.Unlock()
		select {
		case <-j.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fated does what a rule has in store for a job that is in a state.
func (s *Server) fated(ctx context.Context, j *job, state string) error {
	f := j.Fate
	if f == nil || f.State != state {
		return nil
	}
	switch f.Do {
	case doStall:
		<-ctx.Done()
		return ctx.Err()
	case doFail:
		return &problem{code: f.Code, message: f.Message}
	}
	return nil
}

// work is what a job is trained on.
type work struct {
	base              Model
	start             lineage.Artifact
	examples, holdout []lineage.Example
	tokens            int // in one epoch
}

func (s *Server) prepare(j *job) (w work, err error) {
	s.mu.RLock()
	w.base = *s.state.models[j.Root].base
	parent := s.state.models[j.Model]
	s.mu.RUnlock()
	if parent == nil {
		return w, bad("model", "model_not_found", "the model %s was deleted", j.Model)
	}
	if w.start, err = s.artifact(parent, w.base); err != nil {
		return w, err
	}
	if w.examples, err = s.examples(j, j.TrainingBlob, "training_file"); err != nil {
		return w, err
	}
	if j.ValidationBlob != "" {
		if w.holdout, err = s.examples(j, j.ValidationBlob, "validation_file"); err != nil {
			return w, err
		}
	}
	for _, e := range w.examples {
		w.tokens += exampleTokens(e)
	}
	return w, nil
}

// artifact gives the weights of a model; nil where it has none.
func (s *Server) artifact(m *served, base Model) (lineage.Artifact, error) {
	if m.blob == "" {
		return base.Artifact, nil
	}
	data, err := s.journal.fetch(m.blob)
	if err != nil {
		return nil, err
	}
	return base.Backend.Load(data)
}

func (s *Server) examples(j *job, blob, param string) ([]lineage.Example, error) {
	data, err := s.journal.fetch(blob)
	if err != nil {
		return nil, err
	}
	examples, err := readRows(data, j.Method == dpo)
	if err == nil && len(examples) < leastExamples && !s.options.Lenient {
		err = &problem{code: "invalid_n_examples", message: fmt.Sprintf("Training file has %d example(s), but must have at least %d examples", len(examples), leastExamples)}
	}
	var p *problem
	if errors.As(err, &p) {
		p.param = param
		if p.code == "" {
			p.code = "invalid_" + param
		}
	}
	if err != nil {
		return nil, err
	}
	if n := s.flagged(examples); n > 0 {
		return nil, &problem{code: "unsafe_file", param: param, message: fmt.Sprintf("The job failed due to an unsafe training file. %d of %d examples were flagged by moderation.", n, len(examples))}
	}
	return examples, nil
}

func (s *Server) train(ctx context.Context, j *job, w work) error {
	began := s.clock.now()
	set := j.used
	trained, err := w.base.Backend.Train(ctx, lineage.Job{
		Node: lineage.ID(j.ID), Base: w.start, Learner: j.learner(), Cores: max(1, runtime.GOMAXPROCS(0)/cap(s.slots)), Examples: sequence(w.examples), Count: len(w.examples),
		Seed: uint64(j.Seed), Ticket: ticket{s.options.Ledger, j.ID},
	})
	if err != nil {
		return err
	}
	data, err := trained.MarshalBinary()
	if err != nil {
		return err
	}
	blob, err := s.journal.keep(data)
	if err != nil {
		return err
	}
	steps := int(math.Ceil(float64(len(w.examples))/float64(set.Batch))) * int(set.Epochs)
	curve := s.curve(ctx, w, trained, steps)
	tokens := w.tokens * int(set.Epochs)
	least := runningTime + time.Duration(tokens)*time.Second/tokensASecond
	if err := s.clock.sleep(ctx, least-s.clock.now().Sub(began)); err != nil {
		return err
	}
	if err := s.fated(ctx, j, running); err != nil {
		return err
	}
	err = s.advance(ctx, j, func(n int) (entry, error) {
		result, err := s.write(n, 0, "step_metrics.csv", "fine-tune-results", table(curve))
		t := &step{Job: j.ID, Status: succeeded, Blob: blob, Tokens: tokens, Curve: curve, Steps: steps}
		t.Model = j.modelName(s.journal.name("", n)[:8])
		if err == nil {
			t.Result = result.ID
		}
		return entry{Step: t, Files: []*file{result}}, err
	})
	if err == nil {
		s.counting.trained(j.Root, tokens)
	}
	return err
}

func sequence(examples []lineage.Example) iter.Seq2[lineage.Example, error] {
	return func(yield func(lineage.Example, error) bool) {
		for _, e := range examples {
			if !yield(e, nil) {
				return
			}
		}
	}
}
