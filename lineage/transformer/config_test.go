package transformer

import (
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

func TestEveryFaultOfTheSettingsIsTold(t *testing.T) {
	c := Config{
		Preset: "giant", Tokenizer: "words", Initialisation: "zero", Epochs: -1, Steps: -2, LearningRate: 2, Warmup: 2, Decay: -1, Clip: 0, Dropout: 1,
		Train: []string{"attention", "bias"}, Adapter: Adapter{Rank: -1, Alpha: -1}, Beta: 0, LabelTemperature: 0, LabelTopK: -1, TopK: -1, TopP: 0, MaxTokens: -1,
	}
	_, err := New(c)
	if err == nil {
		t.Fatal("it was taken")
	}
	for _, key := range []string{
		"preset: ", "tokenizer: ", "initialisation: ", ": epochs: ", ": steps: ", ": learning_rate: ", "scratch.epochs: ", "scratch.learning_rate: ", "batch: ", "warmup: ", "decay: ",
		"clip: ", "dropout: ", "train[1]: ", "adapter.rank: ", "adapter.alpha: ", "beta: ", "label_temperature: ", "label_top_k: ", "top_k: ", "top_p: ", "max_tokens: ",
	} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("nothing is said of %s", key)
		}
	}
	for key, change := range map[string]func(*Config){
		"layers: 65":                func(c *Config) { c.Layers = 65 },
		"context: 4":                func(c *Config) { c.Context = 4 },
		"vocabulary: 100":           func(c *Config) { c.Vocabulary = 100 },
		"heads: 3":                  func(c *Config) { c.Heads = 3 },
		"adapter and train exclude": func(c *Config) { c.Adapter.Rank, c.Train = 2, []string{"mlp"} },
	} {
		c := Defaults()
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("the error is %v, want one that says %q", err, key)
		}
	}
}

func TestPresets(t *testing.T) {
	for name, want := range map[string]int{"nano": 244_000, "micro": 1_090_000, "mini": 5_920_000} {
		c := Defaults()
		c.Preset = name
		if _, err := New(c); err != nil {
			t.Fatal(err)
		}
		if got := c.shape().Parameters(); got < want*98/100 || got > want*102/100 {
			t.Errorf("%s has %d parameters, the documentation says %d", name, got, want)
		}
	}
	kind, ok := lineage.Lookup("transformer")
	if !ok {
		t.Fatal("the kind is not registered")
	}
	if _, err := kind.Open(kind.Config()); err != nil {
		t.Fatal(err)
	}
}
