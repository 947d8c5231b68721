package transformer

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/transformer/net"
)

// The gradient of a batch of pairs is that of its loss, by central differences.
// One pair is longer than the context, one has a negative weight.
func TestGradientOfPreferenceIsThatOfItsLoss(t *testing.T) {
	corpus, wanted := pairs()
	wanted = wanted[:4]
	wanted[1].Weight = -.5
	wanted[2].Rejected = talk("Question 2?", strings.Repeat("No, never. ", 40))
	base := train(t, tiny(), jobOf(lineage.SFT, corpus))
	b := backend(t, tiny(func(c *Config) { c.Beta = .7 }))
	at := func(p *net.Params) (*training, float64) {
		job := jobOf(lineage.Preference, wanted)
		job.Base = base
		s, err := b.begin(background, job)
		if err != nil {
			t.Fatal(err)
		}
		lessons, err := s.lessons(background, job)
		if err != nil {
			t.Fatal(err)
		}
		for i := range lessons {
			lessons[i].reference = float64(i)
		}
		s.params = p
		run, err := b.training(job, s, lessons)
		if err != nil {
			t.Fatal(err)
		}
		loss, err := run.preferences([]int{0, 1, 2, 3})
		if err != nil {
			t.Fatal(err)
		}
		return run, loss
	}
	r := rand.New(rand.NewPCG(13, 14))
	run, _ := at(base.params.Clone())
	for i, tensor := range base.params.Tensors {
		grad := slices.Clone(run.trainer.Grad(tensor.Name))
		// Along a random direction, so that no single number is near the noise.
		direction, slope, size := make([]float32, len(grad)), 0.0, 0.0
		for j, g := range grad {
			direction[j] = g + float32(r.NormFloat64())*1e-3
			slope += float64(g) * float64(direction[j])
			size += float64(direction[j]) * float64(direction[j])
		}
		step := 1e-2 / math.Sqrt(size)
		moved := func(by float64) float64 {
			p := base.params.Clone()
			for j, d := range direction {
				p.Tensors[i].Data[j] += float32(by) * d
			}
			_, loss := at(p)
			return loss
		}
		if got := (moved(step) - moved(-step)) / (2 * step); math.Abs(got-slope) > .02*math.Abs(slope)+1e-4 {
			t.Errorf("%s: the slope of the loss is %.5f, its gradient says %.5f", tensor.Name, got, slope)
		}
	}
}

func TestPromptsAloneTeachATeachersStudent(t *testing.T) {
	corpus, _ := pairs()
	base := train(t, tiny(), jobOf(lineage.SFT, corpus))
	var prompts []lineage.Example
	for _, e := range corpus {
		prompts = append(prompts, lineage.Example{Messages: e.Messages[:1], Weight: 1})
	}
	job := jobOf(lineage.Distil, prompts)
	job.Teacher = base
	if a := train(t, tiny(func(c *Config) { c.Scratch.Steps = 3 }), job); a.summary.Tokens == 0 {
		t.Error("nothing was learned")
	}
	if _, err := backend(t, tiny()).Train(background, jobOf(lineage.SFT, prompts)); err == nil || !strings.Contains(err.Error(), "empty") {
		t.Errorf("sft on prompts alone gives the error %v", err)
	}
}
