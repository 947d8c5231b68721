package openai

import (
	"maps"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/serve"
)

// TestNoWayOfAskingChangesACompletion asks models of one corpus and seed, behind
// servers of their own: directly, in streams, by batches, by several at once, and
// while the server fails in every way it knows. Texts are the same.
func TestNoWayOfAskingChangesACompletion(t *testing.T) {
	const chat = "POST /v1/chat/completions"
	bad := []serve.Rule{
		{Match: chat, Nth: 3, Times: 5, Do: "status", Status: 429, Code: "rate_limit_exceeded", Headers: map[string]string{"Retry-After-Ms": "20"}},
		{Match: chat, Nth: 20, Times: 5, Do: "drop"},
		{Match: chat, Nth: 40, Times: 5, When: "mid_stream", Do: "truncate"},
		{Match: chat, Nth: 60, Times: 5, Do: "garbage"},
		{Match: chat, Nth: 80, Times: 5, Do: "status", Status: 500},
	}
	var reference map[int]lineage.Completion
	for _, way := range []struct {
		name  string
		rules []serve.Rule
		set   func(*Sampling)
	}{
		{"directly", nil, func(*Sampling) {}},
		{"in streams", nil, func(s *Sampling) { s.Stream = true }},
		{"by batches", nil, func(s *Sampling) { s.Batch = true }},
		{"one at a time", nil, func(s *Sampling) { s.Parallel = 1 }},
		{"badly", bad, func(*Sampling) {}},
		{"badly, in streams", bad, func(s *Sampling) { s.Stream = true }},
	} {
		s, b := behind(t, way.rules...)
		way.set(&b.config.Sampling)
		a, err := b.Train(t.Context(), lineage.Job{Learner: lineage.SFT, Examples: given(lessons(50)), Count: 50, Seed: 1, Ticket: &notes{}})
		if err != nil {
			t.Fatal(err)
		}
		m, err := b.Open(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		reqs := prompts(200)
		for i := range reqs {
			reqs[i].MaxTokens = 0
		}
		got, err := collect(t, t.Context(), m, reqs)
		if err != nil || len(got) != len(reqs) {
			t.Fatalf("%s: %d completions: %v", way.name, len(got), err)
		}
		if reference == nil {
			reference = got
		}
		if !maps.Equal(got, reference) {
			t.Errorf("%s: completions differ", way.name)
		}
		if asked := s.Counts().Requests[chat]; way.rules != nil && asked < 200+20 {
			t.Errorf("%s: the server was asked %d times", way.name, asked)
		}
	}
	texts := map[string]bool{}
	for _, c := range reference {
		texts[c.Text] = true
	}
	if len(texts) < 20 {
		t.Errorf("only %d different texts", len(texts))
	}
}
