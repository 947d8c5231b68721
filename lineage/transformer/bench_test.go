package transformer

import (
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// BenchmarkTrain trains on 160 documents of everyday talk from a base, on one
// core, once; tokens are those that are learned.
func BenchmarkTrain(b *testing.B) {
	examples := everyday(b)[:160]
	for i := range examples {
		examples[i].Rejected = examples[(i+1)%len(examples)].Messages
	}
	for _, preset := range []string{"nano", "micro", "mini"} {
		c := Defaults()
		c.Preset, c.Epochs, c.Scratch.Steps = preset, 1, 1
		base := train(b, c, jobOf(lineage.SFT, everyday(b)))
		for _, learner := range []lineage.Learner{lineage.SFT, lineage.Preference, lineage.Distil} {
			b.Run(preset+"/"+string(learner), func(b *testing.B) {
				tokens := 0
				for b.Loop() {
					job := jobOf(learner, examples)
					job.Base, job.Teacher, job.Cores = base, base, 1
					tokens += train(b, c, job).summary.Tokens
				}
				b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
	}
}

// BenchmarkSample answers 64 prompts on one core.
func BenchmarkSample(b *testing.B) {
	for _, preset := range []string{"nano", "micro", "mini"} {
		c := Defaults()
		c.Preset, c.Scratch.Steps = preset, 40
		job := jobOf(lineage.SFT, everyday(b))
		job.Cores = 1
		a := train(b, c, job)
		var reqs []lineage.Request
		for i, e := range everyday(b)[:64] {
			reqs = append(reqs, lineage.Request{Messages: e.Messages[:1], Seed: uint64(i), Temperature: 1, MaxTokens: 100})
		}
		b.Run(preset, func(b *testing.B) {
			tokens := 0
			for b.Loop() {
				for _, c := range ask(b, a, c, reqs) {
					tokens += c.Tokens
				}
			}
			b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
