//go:build unix

package transformer

import (
	"syscall"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// meter reports tokens a second of processor time, which other work on the
// machine disturbs less than the clock. Everything runs on one core.
type meter struct {
	*testing.B
	tokens int
	spent  float64
}

func (m *meter) time(work func() (tokens int)) {
	before := processorTime(m.B)
	m.tokens += work()
	m.spent += processorTime(m.B) - before
	m.ReportMetric(float64(m.tokens)/m.spent, "tokens/cpu-s")
}

func processorTime(b *testing.B) float64 {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return float64(use.Utime.Nano()+use.Stime.Nano()) / 1e9
}

// BenchmarkTrain trains from a base, once, on 100 documents of everyday talk;
// tokens are those that are learned, for preference those of both sides.
func BenchmarkTrain(b *testing.B) {
	examples := everyday(b)[:100]
	for i := range examples {
		examples[i].Rejected = examples[(i+1)%len(examples)].Messages
	}
	for _, preset := range []string{"nano", "micro", "mini"} {
		c := Defaults()
		c.Preset, c.Epochs, c.Scratch.Steps = preset, 1, 1
		base := train(b, c, jobOf(lineage.SFT, everyday(b)))
		for _, learner := range []lineage.Learner{lineage.SFT, lineage.Preference, lineage.Distil} {
			b.Run(preset+"/"+string(learner), func(b *testing.B) {
				m := &meter{B: b}
				for b.Loop() {
					job := jobOf(learner, examples)
					job.Base, job.Teacher, job.Cores = base, base, 1
					m.time(func() int { return train(b, c, job).summary.Tokens })
				}
			})
		}
	}
}

// BenchmarkSample answers 64 prompts, with a hundred tokens at most.
func BenchmarkSample(b *testing.B) {
	for _, preset := range []string{"nano", "micro", "mini"} {
		c := Defaults()
		c.Preset, c.Scratch.Steps = preset, 20
		job := jobOf(lineage.SFT, everyday(b))
		job.Cores = 1
		a := train(b, c, job)
		var reqs []lineage.Request
		for i, e := range everyday(b)[:64] {
			reqs = append(reqs, lineage.Request{Messages: e.Messages[:1], Seed: uint64(i), Temperature: 1, MaxTokens: 100})
		}
		b.Run(preset, func(b *testing.B) {
			m := &meter{B: b}
			for b.Loop() {
				m.time(func() (tokens int) {
					for _, c := range ask(b, a, c, reqs) {
						tokens += c.Tokens
					}
					return tokens
				})
			}
		})
	}
}
