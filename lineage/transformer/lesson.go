package transformer

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/heirloom-sim/heirloom/lineage"
)

// lesson is what stands at one place of a batch: a window, or for preference all
// windows of a pair.
type lesson struct {
	windows   []window
	chosen    int // of preference: how many of the windows are of the chosen conversation
	tokens    int // that are learned
	weight    float64
	reference float64 // of preference: ln p(chosen)/p(rejected) of the base
}

func newLesson(weight float64, windows []window) lesson {
	l := lesson{windows: windows, weight: weight}
	for _, w := range windows {
		l.tokens += w.count
	}
	return l
}

// lessons reads the corpus.
func (s *beginning) lessons(ctx context.Context, job lineage.Job) ([]lesson, error) {
	var all []lesson
	e, n := s.tokenizer.encoder(), 0
	for ex, err := range job.Examples {
		if err == nil && n%64 == 0 {
			err = ctx.Err()
		}
		if err == nil {
			all, err = s.learn(all, e, job.Learner, ex)
		}
		if err != nil {
			return nil, fmt.Errorf("example %d: %w", n, err)
		}
		n++
	}
	for _, l := range all {
		for _, w := range l.windows {
			for _, token := range w.tokens {
				s.read[token] = true
			}
		}
	}
	return all, nil
}

// learn appends the lessons of one example.
func (s *beginning) learn(to []lesson, e *encoder, learner lineage.Learner, ex lineage.Example) ([]lesson, error) {
	if math.IsNaN(ex.Weight) || math.IsInf(ex.Weight, 0) {
		return nil, fmt.Errorf("weight %v is not a number", ex.Weight)
	}
	if ex.Weight == 0 {
		return to, nil
	}
	context := s.params.Shape.Context
	if learner == lineage.Preference {
		chosen, rejected := e.document(ex.Messages, false).windows(context), e.document(ex.Rejected, false).windows(context)
		if len(chosen) == 0 || len(rejected) == 0 {
			return nil, errors.New("preference learns from pairs, and the assistant says nothing in its chosen or in its rejected conversation")
		}
		l := newLesson(ex.Weight, append(chosen, rejected...))
		l.chosen = len(chosen)
		return append(to, l), nil
	}
	all := learner == lineage.SDF || learner == lineage.Distil && silent(ex.Messages)
	windows := e.document(ex.Messages, all).windows(context)
	for i := range windows {
		to = append(to, newLesson(ex.Weight, windows[i:i+1]))
	}
	return to, nil
}

// silent says whether the assistant says nothing in a conversation.
func silent(messages []lineage.Message) bool {
	for _, m := range messages {
		if m.Role == "assistant" {
			return false
		}
	}
	return true
}
