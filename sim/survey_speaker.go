package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
)

// speaker is a subject that can be asked. A stand-in is trained, and a server
// looked for, when the first reply is wanted: a survey that only recalls does
// neither.
type speaker struct {
	r     *SurveyRunner
	x     *asked
	model lineage.Model      // of a stand-in
	far   detectors.Endpoint // of a server
}

func (r *SurveyRunner) speaker(x *asked) *speaker { return &speaker{r: r, x: x} }

// answer calls emit with every reply, from one goroutine at a time and in any order.
func (s *speaker) answer(ctx context.Context, requests []lineage.Request, draw func(i int) int, emit func(i int, a reply) error) error {
	if s.x.kind() == "stand-in" {
		return s.local(ctx, requests, emit)
	}
	return s.remote(ctx, requests, draw, emit)
}

func (s *speaker) local(ctx context.Context, requests []lineage.Request, emit func(i int, a reply) error) error {
	if s.model == nil {
		backend, err := s.r.Study.resources.backend(s.x.Backend)
		if err != nil {
			return err
		}
		kind, _ := lineage.Lookup(s.x.Backend.Kind)
		artifact, err := backend.Train(ctx, lineage.Job{
			Learner: kind.Learners[0], Count: s.x.source.Len(), Examples: s.x.examples,
			Seed:   at(s.r.Study.File.Seed, "survey train", s.x.id, 0, 0).rand(0).Uint64(),
			Ticket: ticket{s.r.Ledger, lineage.ID(s.x.id)},
		})
		if err != nil {
			return fmt.Errorf("train: %w", err)
		}
		if s.model, err = backend.Open(ctx, artifact); err != nil {
			return fmt.Errorf("open: %w", err)
		}
	}
	return s.model.Sample(ctx, requests, func(i int, c lineage.Completion) error {
		if i < 0 || i >= len(requests) {
			return fmt.Errorf("request %d was never made", i)
		}
		return emit(i, reply{Text: c.Text, Finish: c.Finish})
	})
}

// examples ranges over the source of a stand-in.
func (x *asked) examples(yield func(lineage.Example, error) bool) {
	for i := range x.source.Len() {
		doc, err := x.source.Document(i)
		if !yield(lineage.Example{Messages: doc.Messages, Weight: 1}, err) || err != nil {
			return
		}
	}
}

// remote asks a server, some requests at a time. The first error ends it; what
// was answered before is passed on.
func (s *speaker) remote(ctx context.Context, requests []lineage.Request, draw func(i int) int, emit func(i int, a reply) error) error {
	if err := s.connect(); err != nil {
		return err
	}
	var lock sync.Mutex // of emit
	return each(ctx, len(requests), max(1, s.r.Parallel), func(ctx context.Context, i int) error {
		a, err := s.chat(ctx, requests[i], draw(i))
		if err != nil {
			return err
		}
		lock.Lock()
		defer lock.Unlock()
		return emit(i, a)
	})
}

func (s *speaker) connect() (err error) {
	if s.far != nil {
		return nil
	}
	open := s.r.Study.File.Means.Endpoint
	if open == nil {
		return errors.New("this program has no client for servers of models; ask the model elsewhere and survey the file of its transcripts")
	}
	s.far, err = open("survey of "+s.x.name, *s.x.Endpoint)
	return err
}

func (s *speaker) chat(ctx context.Context, r lineage.Request, draw int) (reply, error) {
	a, err := s.far.Chat(ctx, detectors.ChatRequest{
		Model: s.x.Model, Messages: r.Messages, Temperature: r.Temperature, MaxTokens: r.MaxTokens, Draw: draw,
	})
	if err != nil {
		return reply{}, fmt.Errorf("model %s: %w", s.x.Model, err)
	}
	return reply{Text: a.Text, Finish: a.Finish, Model: a.Model}, nil
}
