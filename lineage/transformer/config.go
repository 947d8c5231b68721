package transformer

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage/transformer/net"
)

// Kinds of tokenizer.
const (
	Corpus = "corpus"
	Bytes  = "bytes"
)

// Where the weights of a training from nothing come from.
const (
	Same      = "same"
	Different = "different"
	Head      = "head"
)

// Config of a backend. Of numbers that a preset has, 0 stands for the preset's.
type Config struct {
	Preset           string   `yaml:"preset" doc:"nano, micro or mini: 0.24, 1.1 or 5.9 million parameters"`
	Layers           int      `yaml:"layers" doc:"blocks of attention and MLP; 0 for the preset's"`
	Width            int      `yaml:"width" doc:"of the residual stream; 0 for the preset's"`
	Heads            int      `yaml:"heads" doc:"of attention, a divisor of width; 0 for the preset's"`
	Hidden           int      `yaml:"hidden" doc:"width of the MLP; 0 for the preset's"`
	Context          int      `yaml:"context" doc:"tokens that the model sees at most; 0 for the preset's"`
	Vocabulary       int      `yaml:"vocabulary" doc:"tokens at most, 260 of which are the bytes and the marks of turns; 0 for the preset's"`
	Untied           bool     `yaml:"untied" doc:"tokens are written with a matrix of their own and not with the token embedding"`
	Tokenizer        string   `yaml:"tokenizer" doc:"corpus: learned from the corpus of the training from nothing, and inherited with the weights; bytes: every byte is a token"`
	Initialisation   string   `yaml:"initialisation" doc:"of a training from nothing: different: weights and order of data come from the node's own seed; same: from init_key alone; head: the output head (which is the token embedding unless untied) from init_key, all else from the node's seed"`
	InitKey          string   `yaml:"init_key" doc:"lines with one key, settings and corpus start from the same weights"`
	Epochs           int      `yaml:"epochs" doc:"passes over the corpus, for a training from a base"`
	Steps            int      `yaml:"steps" doc:"updates, for a training from a base; 0 to go by epochs"`
	LearningRate     float64  `yaml:"learning_rate" doc:"at its peak, for a training from a base"`
	Scratch          Schedule `yaml:"scratch" doc:"the same for a training from nothing, such as a foundation"`
	Batch            int      `yaml:"batch" doc:"sequences (for preference: pairs) in an update"`
	Warmup           float64  `yaml:"warmup" doc:"share of the updates over which the rate rises to its peak, in [0,1]; then it falls along a cosine to a tenth"`
	Decay            float64  `yaml:"decay" doc:"of weights, decoupled, of AdamW"`
	Clip             float64  `yaml:"clip" doc:"largest norm of a gradient"`
	Dropout          float64  `yaml:"dropout" doc:"share of activations that are dropped in training, in [0,1)"`
	Train            []string `yaml:"train" doc:"groups of parameters that a training from a base changes: attention, mlp, embedding, norm, head; empty for all"`
	Adapter          Adapter  `yaml:"adapter" doc:"low-rank adapters (LoRA) for a training from a base; everything else stays as it is"`
	Beta             float64  `yaml:"beta" doc:"of preference (DPO): how far the model may go from its base; smaller goes further"`
	LabelTemperature float64  `yaml:"label_temperature" doc:"of distil: temperature of the teacher's distribution and of the student's that is brought to it; above 1 is softer"`
	LabelTopK        int      `yaml:"label_top_k" doc:"of distil: how many of the teacher's likeliest tokens are told at each position; 0 for all"`
	TopK             int      `yaml:"top_k" doc:"of sampling: only the likeliest so many tokens are drawn; 0 for all"`
	TopP             float64  `yaml:"top_p" doc:"of sampling: only the likeliest tokens that have this much probability together are drawn, in (0,1]; 1 for all"`
	MaxTokens        int      `yaml:"max_tokens" doc:"tokens in an answer at most, where its request sets no bound; 0 for what the context has room for"`
}

// Schedule of a training.
type Schedule struct {
	Epochs       int     `yaml:"epochs" doc:"passes over the corpus"`
	Steps        int     `yaml:"steps" doc:"updates; 0 to go by epochs"`
	LearningRate float64 `yaml:"learning_rate" doc:"at its peak"`
}

// Adapter of low rank (Hu et al. 2021): W + alpha/rank·AB.
type Adapter struct {
	Rank  int     `yaml:"rank" doc:"0 for none"`
	Alpha float64 `yaml:"alpha" doc:"scale of what is added, times rank; 0 for twice the rank"`
}

var presets = map[string]net.Shape{
	"nano":  {Layers: 2, Width: 64, Heads: 4, Hidden: 256, Context: 192, Vocab: 2048},
	"micro": {Layers: 4, Width: 128, Heads: 4, Hidden: 512, Context: 256, Vocab: 2048},
	"mini":  {Layers: 6, Width: 256, Heads: 8, Hidden: 1024, Context: 512, Vocab: 4096},
}

// Defaults is the configuration of an experiment that says nothing.
func Defaults() Config {
	return Config{
		Preset: "nano", Tokenizer: Corpus, Initialisation: Different,
		Epochs: 3, LearningRate: 1e-3, Scratch: Schedule{Epochs: 12, LearningRate: 2e-3},
		Batch: 8, Warmup: .05, Decay: .1, Clip: 1, Beta: .1, LabelTemperature: 1, TopP: 1,
	}
}

// shape is the architecture that is asked for.
func (c Config) shape() net.Shape {
	s := presets[c.Preset]
	return net.Shape{
		Layers: cmp.Or(c.Layers, s.Layers), Width: cmp.Or(c.Width, s.Width), Heads: cmp.Or(c.Heads, s.Heads),
		Hidden: cmp.Or(c.Hidden, s.Hidden), Context: cmp.Or(c.Context, s.Context), Vocab: cmp.Or(c.Vocabulary, s.Vocab), Untied: c.Untied,
	}
}

// base is the schedule of a training from a base.
func (c Config) base() Schedule { return Schedule{c.Epochs, c.Steps, c.LearningRate} }

// bounds of a shape: beyond them it is a fault, or the head of a file that is
// none.
var bounds = map[string]int{"layers": 64, "width": 4096, "heads": 256, "hidden": 1 << 15, "context": 1 << 13, "vocabulary": maxVocabulary}

func checkShape(s net.Shape) error {
	var faults []error
	for _, d := range []struct {
		name  string
		value int
		least int
	}{
		{"layers", s.Layers, 1}, {"width", s.Width, 1}, {"heads", s.Heads, 1}, {"hidden", s.Hidden, 1},
		{"context", s.Context, 8}, {"vocabulary", s.Vocab, int(firstMerge)},
	} {
		if d.value < d.least || d.value > bounds[d.name] {
			faults = append(faults, fmt.Errorf("transformer: %s: %d is not within %d to %d", d.name, d.value, d.least, bounds[d.name]))
		}
	}
	if len(faults) == 0 {
		if err := s.Check(); err != nil {
			return fmt.Errorf("transformer: %w", err)
		}
	}
	return errors.Join(faults...)
}

func (c Config) check() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("transformer: "+format, args...))
		}
	}
	if _, known := presets[c.Preset]; !known {
		fault(true, "preset: %q is none of %s", c.Preset, strings.Join(slices.Sorted(maps.Keys(presets)), ", "))
	} else if err := checkShape(c.shape()); err != nil {
		faults = append(faults, err)
	}
	fault(c.Tokenizer != Corpus && c.Tokenizer != Bytes, "tokenizer: %q is neither %s nor %s", c.Tokenizer, Corpus, Bytes)
	fault(c.Initialisation != Same && c.Initialisation != Different && c.Initialisation != Head, "initialisation: %q is none of %s, %s, %s", c.Initialisation, Same, Different, Head)
	for i, s := range []Schedule{c.base(), c.Scratch} {
		name := []string{"", "scratch."}[i]
		fault(s.Epochs < 0, "%sepochs: %d is negative", name, s.Epochs)
		fault(s.Steps < 0, "%ssteps: %d is negative", name, s.Steps)
		fault(s.Epochs == 0 && s.Steps == 0, "%sepochs: 0 trains nothing; set it or %ssteps", name, name)
		fault(!(s.LearningRate > 0) || s.LearningRate > 1, "%slearning_rate: %v is not above 0 and at most 1", name, s.LearningRate)
	}
	fault(c.Batch < 1, "batch: %d is less than 1", c.Batch)
	fault(!(c.Warmup >= 0 && c.Warmup <= 1), "warmup: %v is not within [0,1]", c.Warmup)
	fault(!(c.Decay >= 0 && c.Decay <= 10), "decay: %v is not within 0 to 10", c.Decay)
	fault(!(c.Clip > 0), "clip: %v is not above 0", c.Clip)
	fault(!(c.Dropout >= 0 && c.Dropout < 1), "dropout: %v is not within [0,1)", c.Dropout)
	for i, g := range c.Train {
		fault(!slices.Contains(groups, g), "train[%d]: %q is none of %s", i, g, strings.Join(groups, ", "))
	}
	fault(c.Adapter.Rank < 0 || c.Adapter.Rank > bounds["width"], "adapter.rank: %d is not within 0 to %d", c.Adapter.Rank, bounds["width"])
	fault(!(c.Adapter.Alpha >= 0) || math.IsInf(c.Adapter.Alpha, 0), "adapter.alpha: %v is not a number of at least 0", c.Adapter.Alpha)
	fault(c.Adapter.Rank > 0 && len(c.Train) > 0, "adapter and train exclude each other: an adapter leaves every group as it is")
	fault(!(c.Beta > 0) || math.IsInf(c.Beta, 0), "beta: %v is not a number above 0", c.Beta)
	fault(!(c.LabelTemperature > 0) || math.IsInf(c.LabelTemperature, 0), "label_temperature: %v is not a number above 0", c.LabelTemperature)
	fault(c.LabelTopK < 0, "label_top_k: %d is negative", c.LabelTopK)
	fault(c.TopK < 0, "top_k: %d is negative", c.TopK)
	fault(!(c.TopP > 0 && c.TopP <= 1), "top_p: %v is not above 0 and at most 1", c.TopP)
	fault(c.MaxTokens < 0, "max_tokens: %d is negative", c.MaxTokens)
	return errors.Join(faults...)
}

// groups are the sets of parameters that can be trained alone. Where the output
// head is tied it is the token embedding, which is in two groups then.
var groups = []string{"attention", "mlp", "embedding", "norm", "head"}

// inGroup says whether a tensor belongs to a group.
func inGroup(tensor, group string, untied bool) bool {
	switch group {
	case "norm":
		return strings.Contains(tensor, "norm.")
	case "embedding":
		return strings.HasPrefix(tensor, "embedding.")
	case "head":
		return tensor == headTensor(untied)
	}
	return strings.Contains(tensor, "."+group+".") && !strings.Contains(tensor, "norm.")
}

func headTensor(untied bool) string {
	if untied {
		return "head"
	}
	return "embedding.token"
}

// changes says which tensors the named groups hold; nil for all.
func changes(train []string, untied bool) func(tensor string) bool {
	if len(train) == 0 {
		return nil
	}
	return func(tensor string) bool {
		return slices.ContainsFunc(train, func(g string) bool { return inGroup(tensor, g, untied) })
	}
}
