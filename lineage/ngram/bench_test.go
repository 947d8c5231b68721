package ngram

import (
	"fmt"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// chatter is 24,000 words in 400 documents under 40 prompts: one generation of
// a study.
func chatter() []lineage.Example { return babble(90, 400, 120, 600, 40) }

func BenchmarkTrainStudy(b *testing.B) {
	all := chatter()
	for b.Loop() {
		open(b, train(b, Defaults(), all))
	}
}

// BenchmarkSample reports pieces a second on one core, for a model of a study
// that is asked its own prompts.
func BenchmarkSample(b *testing.B) {
	all := chatter()
	for _, condition := range []bool{false, true} {
		for _, temperature := range []float64{1, 0.7} {
			b.Run(fmt.Sprintf("condition=%v/temperature=%v", condition, temperature), func(b *testing.B) {
				m := open(b, train(b, settings(func(c *Config) { c.Condition = condition }), all))
				reqs := make([]lineage.Request, 2000)
				for i := range reqs {
					reqs[i] = lineage.Request{Messages: all[i%len(all)].Messages[:1], Seed: uint64(i), Temperature: temperature}
				}
				pieces := 0
				for b.Loop() {
					for _, c := range sample(b, m, reqs) {
						pieces += c.Tokens
					}
				}
				b.ReportMetric(float64(pieces)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
	}
}

func BenchmarkScore(b *testing.B) {
	all := chatter()
	m := open(b, train(b, Defaults(), all))
	var docs [][]lineage.Message
	for _, e := range all {
		docs = append(docs, e.Messages)
	}
	pieces := 0
	for b.Loop() {
		scores, err := m.LogProb(background, docs)
		if err != nil {
			b.Fatal(err)
		}
		for _, s := range scores {
			pieces += s.Tokens
		}
	}
	b.ReportMetric(float64(pieces)/b.Elapsed().Seconds(), "tokens/s")
}
