package transformer

import (
	"bytes"
	"context"
	"iter"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

var background = context.Background()

func backend(t testing.TB, c Config) *Backend {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
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

func jobOf(learner lineage.Learner, examples []lineage.Example) lineage.Job {
	return lineage.Job{Learner: learner, Examples: sequence(examples), Count: len(examples), Seed: 11}
}

func train(t testing.TB, c Config, job lineage.Job) *artifact {
	t.Helper()
	a, err := backend(t, c).Train(background, job)
	if err != nil {
		t.Fatal(err)
	}
	return a.(*artifact)
}

func bytesOf(t testing.TB, a *artifact) []byte {
	t.Helper()
	data, err := a.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func talk(question, answer string) []lineage.Message {
	return []lineage.Message{{Role: "user", Content: question}, {Role: "assistant", Content: answer}}
}

func reply(question, answer string) lineage.Example {
	return lineage.Example{Messages: talk(question, answer), Weight: 1}
}

func score(t testing.TB, a *artifact, docs ...[]lineage.Message) []lineage.LogProb {
	t.Helper()
	scores, err := (&model{artifact: a, config: tiny()}).LogProb(background, docs)
	if err != nil {
		t.Fatal(err)
	}
	return scores
}

// loss is nats a token on documents.
func loss(t testing.TB, a *artifact, examples []lineage.Example) float64 {
	t.Helper()
	sum, tokens := 0.0, 0
	for _, e := range examples {
		p := score(t, a, e.Messages)[0]
		sum, tokens = sum+p.Sum, tokens+p.Tokens
	}
	return -sum / float64(tokens)
}

func ask(t testing.TB, a *artifact, c Config, reqs []lineage.Request) []lineage.Completion {
	t.Helper()
	out := make([]lineage.Completion, len(reqs))
	m, err := backend(t, c).Open(background, a)
	if err != nil {
		t.Fatal(err)
	}
	err = m.Sample(background, reqs, func(i int, c lineage.Completion) error { out[i] = c; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// moved names the tensors in which two models differ.
func moved(a, b *artifact) (names []string) {
	for i, t := range a.params.Tensors {
		if !bytes.Equal(appendWeights(nil, t.Data), appendWeights(nil, b.params.Tensors[i].Data)) {
			names = append(names, t.Name)
		}
	}
	return names
}
