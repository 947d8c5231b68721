package openai

import (
	"math"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/ngram"
)

// TestLogProbabilitiesAreThoseOfTheModel asks a server whose models can score
// text, and holds what it tells against the model's own word.
func TestLogProbabilitiesAreThoseOfTheModel(t *testing.T) {
	for _, stream := range []bool{false, true} {
		for _, wanted := range []bool{false, true} {
			stand, err := ngram.New(ngram.Defaults())
			if err != nil {
				t.Fatal(err)
			}
			_, b := before(t, stand)
			b.config.LogProbs, b.config.Stream = wanted, stream
			a, err := b.Train(t.Context(), lineage.Job{Learner: lineage.SFT, Examples: given(lessons(50)), Count: 50, Seed: 1, Ticket: &notes{}})
			if err != nil {
				t.Fatal(err)
			}
			m, err := b.Open(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			reqs := prompts(20)
			for i := range reqs {
				reqs[i].MaxTokens = 0
			}
			got, err := collect(t, t.Context(), m, reqs)
			if err != nil {
				t.Fatal(err)
			}
			told := 0
			for i, c := range got {
				if c.LogProb == nil {
					continue
				}
				if told++; !(*c.LogProb < 0) || math.IsInf(*c.LogProb, 0) {
					t.Errorf("request %d: %v", i, *c.LogProb)
				}
			}
			if want := map[bool]int{true: len(reqs)}[wanted]; told != want {
				t.Errorf("streamed %v, wanted %v: %d of %d completions have a log-probability", stream, wanted, told, len(reqs))
			}
		}
	}
}
