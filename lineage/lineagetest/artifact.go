package lineagetest

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

func (o Options) loadIsInverse(t *testing.T) {
	a := o.train(t, o.job(corpus()))
	data := marshal(t, a)
	kept := bytes.Clone(data)
	b, err := o.Backend.Load(data)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	clear(data) // the caller's own
	want := sample(t, o.model(t, a), requests(o.Requests))
	same(t, "loaded", sample(t, o.model(t, b), requests(o.Requests)), want)
	if !bytes.Equal(marshal(t, b), kept) {
		t.Error("what was loaded is written as other bytes")
	}
}

func (o Options) baseSurvives(t *testing.T) {
	base := o.train(t, o.job(corpus()))
	loaded, err := o.Backend.Load(marshal(t, base))
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	before := marshal(t, base)
	job := o.job(corpus()[:10])
	job.Base = base
	want := sample(t, o.model(t, o.train(t, job)), requests(o.Requests))
	job.Base, job.Ticket = loaded, &ticket{}
	same(t, "from a base that was loaded", sample(t, o.model(t, o.train(t, job)), requests(o.Requests)), want)
	if !bytes.Equal(marshal(t, base), before) {
		t.Error("training from a base changed the base")
	}
}

type stranger struct{}

func (stranger) MarshalBinary() ([]byte, error) { return []byte("stranger 1\n"), nil }

func (o Options) foreign(t *testing.T) {
	if _, err := o.Backend.Open(context.Background(), stranger{}); err == nil {
		t.Error("Open took the artifact of another backend")
	}
	if _, err := o.Backend.Open(context.Background(), nil); err == nil {
		t.Error("Open took no artifact")
	}
	job := o.job(corpus())
	job.Base = stranger{}
	if _, err := o.Backend.Train(context.Background(), job); err == nil {
		t.Error("Train took the artifact of another backend for its base")
	}
	for _, data := range []string{"", "stranger 1\n", "\x00", noise(1000)} {
		if _, err := o.Backend.Load([]byte(data)); err == nil {
			t.Errorf("Load took %.20q", data)
		}
	}
}

// corrupt cuts an artifact, which must be noticed, and changes bytes of it,
// which may give another artifact as good as any: that must not panic.
func (o Options) corrupt(t *testing.T) {
	data := marshal(t, o.train(t, o.job(corpus())))
	r := rand.New(rand.NewPCG(6, 6))
	places := func() (all []int) {
		for i := range min(len(data), 100) {
			all = append(all, i, len(data)-1-i)
		}
		for range 100 {
			all = append(all, r.IntN(len(data)))
		}
		return all
	}
	for _, at := range places() {
		if _, err := o.Backend.Load(data[:at:at]); err == nil {
			t.Errorf("Load took the first %d of %d bytes", at, len(data))
		}
	}
	if _, err := o.Backend.Load(append(bytes.Clone(data), 0)); err == nil {
		t.Error("Load took an artifact with a byte behind its end")
	}
	for i, at := range places() {
		changed := bytes.Clone(data)
		changed[at] ^= byte(1 + r.IntN(255))
		a, err := o.Backend.Load(changed)
		if err != nil || i%8 != 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), prompt)
		if m, err := o.Backend.Open(ctx, a); err == nil {
			began := time.Now()
			m.Sample(ctx, requests(2), func(int, lineage.Completion) error { return nil })
			if time.Since(began) > prompt {
				t.Errorf("with byte %d changed, two requests took %v", at, time.Since(began))
			}
		}
		cancel()
	}
}

// scores checks a Scorer; a model that is none passes.
func (o Options) scores(t *testing.T) {
	m := o.model(t, o.train(t, o.job(corpus())))
	scorer, ok := m.(lineage.Scorer)
	if !ok {
		t.Skip("the model does not score")
	}
	docs := [][]lineage.Message{
		conversation("Question 0: what do you remember?", "I remember the first light."),
		conversation("Question 0: what do you remember?", "Words that are in no corpus: zxqj."),
		conversation("a", "b", "c", "d"),
		{{Role: "assistant", Content: "alone"}},
		conversation("What?", ""),
	}
	want, err := scorer.LogProb(context.Background(), docs)
	if err != nil || len(want) != len(docs) {
		t.Fatalf("LogProb gave %d scores of %d documents, %v", len(want), len(docs), err)
	}
	for i, doc := range docs {
		checkLogProb(t, doc[len(doc)-1].Content, want[i])
		alone, err := scorer.LogProb(context.Background(), docs[i:i+1])
		if err != nil || len(alone) != 1 || alone[0] != want[i] {
			t.Errorf("document %d alone scores %v, with the others %v, %v", i, alone, want[i], err)
		}
	}
	if want[0].Sum <= want[1].Sum {
		t.Errorf("a text of the corpus scores %v, one that is not %v", want[0].Sum, want[1].Sum)
	}
	if none, err := scorer.LogProb(context.Background(), nil); err != nil || len(none) != 0 {
		t.Errorf("no documents score %v, %v", none, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := scorer.LogProb(ctx, docs); err == nil {
		t.Error("LogProb with a context that has ended gave no error")
	}
}
