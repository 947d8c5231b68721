package transformer

import (
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/lineagetest"
)

// tiny is a model that trains in a tenth of a second.
func tiny(change ...func(*Config)) Config {
	c := Defaults()
	c.Layers, c.Width, c.Heads, c.Hidden, c.Context, c.Vocabulary = 1, 32, 2, 64, 64, 320
	c.Scratch.Epochs, c.Scratch.LearningRate, c.Batch = 25, 1e-2, 8
	for _, f := range change {
		f(&c)
	}
	return c
}

func TestContract(t *testing.T) {
	for name, c := range map[string]Config{
		"tiny":    tiny(),
		"bytes":   tiny(func(c *Config) { c.Tokenizer = Bytes; c.Untied = true; c.Dropout = .1; c.TopK = 40; c.TopP = .95 }),
		"adapter": tiny(func(c *Config) { c.Adapter.Rank = 2; c.Initialisation = Same }),
	} {
		t.Run(name, func(t *testing.T) {
			lineagetest.Backend(t, lineagetest.Options{
				Backend:  backend(t, c),
				Learners: []lineage.Learner{lineage.SFT, lineage.SDF, lineage.Preference, lineage.Distil},
				Requests: 24, Longest: 1 << 12,
			})
		})
	}
}
