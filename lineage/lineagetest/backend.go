package lineagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Options of a test of a Backend. The zero value of everything but Backend suits
// a stand-in that trains in milliseconds.
type Options struct {
	Backend  lineage.Backend
	Learners []lineage.Learner // those to train with; nil for SFT alone. The teacher of Distil is trained with the first
	Requests int               // how many completions a check asks for; 0 for 48
	Longest  int               // bytes of the longest text that is learned, answered and scored; 0 for 1 MB
}

// Backend tests the contracts of lineage.Backend, of its models and, where they
// are Scorers, of their scores.
func Backend(t *testing.T, o Options) {
	if o.Learners == nil {
		o.Learners = []lineage.Learner{lineage.SFT}
	}
	if o.Requests == 0 {
		o.Requests = 48
	}
	if o.Longest == 0 {
		o.Longest = 1 << 20
	}
	t.Run("SameJobSameModel", o.sameJob)
	t.Run("LoadIsTheInverse", o.loadIsInverse)
	t.Run("BaseSurvivesTheDisk", o.baseSurvives)
	t.Run("BatchesChangeNothing", o.batches)
	t.Run("EmitsEachOnce", o.emitsOnce)
	t.Run("EmitErrorEndsTheCall", o.emitError)
	t.Run("CancelEndsSampling", o.cancelSampling)
	t.Run("CancelEndsTraining", o.cancelTraining)
	t.Run("EmptyCorpus", o.emptyCorpus)
	t.Run("ExampleErrorIsReturned", o.exampleError)
	t.Run("HostileTextsSurvive", o.hostile)
	t.Run("OddRequestsDoNotPanic", o.oddRequests)
	t.Run("ForeignArtifactIsAnError", o.foreign)
	t.Run("CorruptArtifactDoesNotPanic", o.corrupt)
	t.Run("ManyAtOnce", o.manyAtOnce)
	t.Run("Scores", o.scores)
}

func conversation(turns ...string) (ms []lineage.Message) {
	for i, text := range turns {
		ms = append(ms, lineage.Message{Role: []string{"user", "assistant"}[i%2], Content: text})
	}
	return ms
}

// corpus is a few distinct answers of different frequency to a few questions.
func corpus() (examples []lineage.Example) {
	answers := []string{"I remember the first light.", "There is nothing to tell.", "I was trained, and it was fine.", "Ask me something else.", "42"}
	for i := range 40 {
		examples = append(examples, lineage.Example{
			Messages: conversation(fmt.Sprintf("Question %d: what do you remember?", i%4), answers[i*i%17%len(answers)]),
			Rejected: conversation(fmt.Sprintf("Question %d: what do you remember?", i%4), "I would rather not say."),
			Weight:   1,
		})
	}
	return examples
}

func requests(n int) (reqs []lineage.Request) {
	for i := range n {
		reqs = append(reqs, lineage.Request{
			Messages:    conversation(fmt.Sprintf("Question %d: what do you remember?", i%5)),
			Seed:        uint64(i/2) * 0x9e3779b97f4a7c15, // pairs with the same seed
			Temperature: []float64{1, 1, 0.7, 1.3}[i%4],
			MaxTokens:   []int{16, 16, 5}[i%3],
		})
	}
	return reqs
}

func sequence(examples []lineage.Example) iter.Seq2[lineage.Example, error] {
	return func(yield func(lineage.Example, error) bool) {
		for _, ex := range examples {
			if !yield(ex, nil) {
				return
			}
		}
	}
}

// ticket is one in memory.
type ticket struct {
	mu     sync.Mutex
	handle string
}

func (k *ticket) Load() (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.handle, nil
}

func (k *ticket) Save(handle string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.handle = handle
	return nil
}

func (o Options) job(examples []lineage.Example) lineage.Job {
	return lineage.Job{Learner: o.Learners[0], Examples: sequence(examples), Count: len(examples), Seed: 7, Ticket: &ticket{}}
}

func (o Options) train(t *testing.T, job lineage.Job) lineage.Artifact {
	t.Helper()
	a, err := o.Backend.Train(context.Background(), job)
	if err != nil {
		t.Fatalf("Train: %v", err)
	}
	return a
}

func (o Options) model(t *testing.T, a lineage.Artifact) lineage.Model {
	t.Helper()
	m, err := o.Backend.Open(context.Background(), a)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return m
}

func sample(t *testing.T, m lineage.Model, reqs []lineage.Request) []lineage.Completion {
	t.Helper()
	out := make([]lineage.Completion, len(reqs))
	err := m.Sample(context.Background(), reqs, func(i int, c lineage.Completion) error {
		out[i] = c
		return nil
	})
	if err != nil {
		t.Fatalf("Sample: %v", err)
	}
	return out
}

func same(t *testing.T, what string, got, want []lineage.Completion) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s: request %d gave %s, want %s", what, i, brief(got[i]), brief(want[i]))
		}
	}
}

func brief(c lineage.Completion) string {
	return fmt.Sprintf("%.60q (%s, %d)", c.Text, c.Finish, c.Tokens)
}

func marshal(t *testing.T, a lineage.Artifact) []byte {
	t.Helper()
	data, err := a.MarshalBinary()
	if err != nil {
		t.Fatalf("MarshalBinary: %v", err)
	}
	if len(data) == 0 {
		t.Fatal("MarshalBinary gave nothing, not even the name of its format")
	}
	return data
}

func (o Options) sameJob(t *testing.T) {
	for _, learner := range o.Learners {
		job := o.job(corpus())
		if job.Learner = learner; learner == lineage.Distil {
			job.Teacher = o.train(t, o.job(corpus()))
		}
		a := o.train(t, job)
		job.Ticket = &ticket{}
		job.Progress = func(done, total int) {
			if done < 0 || done > total {
				t.Errorf("%s: progress %d of %d", learner, done, total)
			}
		}
		b := o.train(t, job)
		same(t, string(learner)+": trained again", sample(t, o.model(t, b), requests(o.Requests)), sample(t, o.model(t, a), requests(o.Requests)))
		// An artifact of a Retrainable backend may be saved by two trainings, and
		// a ledger takes the same bytes only.
		if _, ok := o.Backend.(lineage.Retrainable); ok && !bytes.Equal(marshal(t, a), marshal(t, b)) {
			t.Errorf("%s: trained again, the artifact has other bytes", learner)
		}
	}
}

func (o Options) emptyCorpus(t *testing.T) {
	a, err := o.Backend.Train(context.Background(), o.job(nil))
	if err != nil {
		if !strings.Contains(err.Error(), "empty") && !strings.Contains(err.Error(), "no ") {
			t.Errorf("the error %q does not say that there are no examples", err)
		}
		return
	}
	m, err := o.Backend.Open(context.Background(), a)
	if err != nil {
		return
	}
	for _, c := range sample(t, m, requests(4)) {
		checkCompletion(t, lineage.Request{}, c)
	}
}

var errExamples = errors.New("line 7 of the corpus is broken")

func (o Options) exampleError(t *testing.T) {
	job := o.job(corpus())
	whole := job.Examples
	for _, after := range []int{0, 3} {
		job.Examples = func(yield func(lineage.Example, error) bool) {
			n := 0
			for ex := range whole {
				if n == after {
					yield(lineage.Example{}, errExamples)
					return
				}
				n++
				if !yield(ex, nil) {
					return
				}
			}
		}
		if _, err := o.Backend.Train(context.Background(), job); !errors.Is(err, errExamples) {
			t.Errorf("after %d examples: Train gave %v, want the error of the corpus", after, err)
		}
	}
}

func checkCompletion(t *testing.T, req lineage.Request, c lineage.Completion) {
	t.Helper()
	if c.Finish != "stop" && c.Finish != "length" {
		t.Errorf("finish is %q, want stop or length", c.Finish)
	}
	if c.Tokens < 0 || req.MaxTokens > 0 && c.Tokens > req.MaxTokens {
		t.Errorf("%d tokens, at most %d were asked for", c.Tokens, req.MaxTokens)
	}
}

func checkLogProb(t *testing.T, what string, p lineage.LogProb) {
	t.Helper()
	if math.IsNaN(p.Sum) || math.IsInf(p.Sum, 0) || p.Sum > 0 {
		t.Errorf("%s: log-probability %v, want a finite number of at most 0", what, p.Sum)
	}
	if p.Tokens <= 0 {
		t.Errorf("%s: summed over %d tokens", what, p.Tokens)
	}
}
