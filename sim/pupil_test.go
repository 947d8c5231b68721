package sim

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// An urn of the kind pupil takes every learner, and tells likelihoods: a
// completion is likelier by e under a system message that begins with its letter.
func init() {
	urn, _ := lineage.Lookup("urn")
	lineage.Register("pupil", "an urn that takes every learner", []lineage.Learner{lineage.SFT, lineage.SDF, lineage.Distil, lineage.Preference},
		struct{}{}, func(struct{}) (lineage.Backend, error) {
			b, err := urn.Open(urn.Config())
			return &pupil{Backend: b}, err
		})
}

// pupil is a backend that keeps what its trainings were given. What it makes is
// an urn.
type pupil struct {
	lineage.Backend
	sync.Mutex
	jobs []lesson
}

// lesson is one training with its examples read.
type lesson struct {
	lineage.Job
	examples []lineage.Example
}

func (p *pupil) Train(ctx context.Context, job lineage.Job) (lineage.Artifact, error) {
	l := lesson{Job: job}
	for e, err := range job.Examples {
		if err != nil {
			return nil, err
		}
		l.examples = append(l.examples, e)
	}
	p.Lock()
	p.jobs = append(p.jobs, l)
	p.Unlock()
	job.Learner, job.Teacher, job.Base = lineage.SFT, nil, nil
	return p.Backend.Train(ctx, job)
}

// attended replaces the backend of every node by one that keeps its lessons.
func attended(s *Study) *pupil {
	p := &pupil{}
	for _, jobs := range s.jobs {
		for _, j := range jobs {
			p.Backend = j.shape.backend
		}
	}
	for _, jobs := range s.jobs {
		for _, j := range jobs {
			j.shape.backend = p
		}
	}
	return p
}

func (p *pupil) Open(ctx context.Context, a lineage.Artifact) (lineage.Model, error) {
	m, err := p.Backend.Open(ctx, a)
	return alliterating{m}, err
}

type alliterating struct{ lineage.Model }

func (alliterating) LogProb(_ context.Context, docs [][]lineage.Message) ([]lineage.LogProb, error) {
	out := make([]lineage.LogProb, len(docs))
	for i, doc := range docs {
		answer := doc[len(doc)-1].Content
		out[i] = lineage.LogProb{Sum: -5, Tokens: 1}
		if doc[0].Role == "system" {
			out[i].Sum = -6
			if strings.EqualFold(doc[0].Content[:1], answer[:1]) {
				out[i].Sum = -4
			}
		}
	}
	return out, nil
}

// of gives the lessons of a node of a line and generation, by what they learn.
func (p *pupil) of(t *testing.T, s *Study, id lineage.ID) lesson {
	t.Helper()
	j := s.byID[id]
	seed := at(j.Seed, "train", j.Line, j.replicate, j.Generation).rand(0).Uint64()
	for _, l := range p.jobs {
		if l.Seed == seed {
			return l
		}
	}
	t.Fatalf("%s was not trained", j)
	return lesson{}
}
