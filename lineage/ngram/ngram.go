// Package ngram is the stand-in that learns real text: an interpolated n-gram
// language model that trains on megabytes in a second.
//
//  1. Text is cut into pieces (a word with the space before it, a run of
//     punctuation, a run of white space); the pieces concatenate to the text,
//     byte for byte. A learned turn is its pieces and an end-of-turn mark.
//  2. Training counts every piece w after every context h of up to Order-1
//     pieces of the same turn. What stands before the turn begins is one
//     beginning-of-turn mark.
//  3. A request is answered by drawing piece after piece until the end of turn.
//
// # Model
//
// With a discount D of each count c, summing to the freed mass g of a context,
//
//	P(w|h) = (c(h,w) - D(c(h,w)))/T(h) + g(h) P(w|h'),   g(h) = sum_w D(c(h,w))/T(h)
//
// where T(h) = sum_w c(h,w), h' is h without its most distant piece, and a
// context that was never seen has g = 1. This is interpolated modified
// Kneser-Ney (Chen and Goodman, TR-10-98, 1998, section 3): three discounts a
// level, from the numbers n1..n4 of entries counted once to four times,
//
//	Y = n1/(n1+2 n2),  D1 = 1-2Y n2/n1,  D2 = 2-3Y n3/n2,  D3+ = 3-4Y n4/n3
//
// and, below the longest context, c(h,w) is the number of distinct pieces seen
// before (h,w); contexts that begin with the turn keep their plain counts, as
// nothing stands before them. Where the n's admit no such discounts (small or
// repetitive corpora) a level uses Y for all three (Ney, Essen and Kneser,
// 1994), and 1/2, 1, 3/2 where n1 or n2 is zero.
//
// Smoothing "dirichlet" is P(w|h) = (c + Kappa P(w|h'))/(T + Kappa) with plain
// counts (MacKay and Peto, 1995): a continuation of an otherwise unseen context
// has the probability c/(c+Kappa) by its absolute count. Smoothing "none" is
// c/T at the longest context that was seen. With it, and without conditioning,
// the first piece of an answer is one draw from the corpus frequencies: a trait
// that the first piece decides drifts exactly as Wright-Fisher. Later pieces of
// one document are not independent draws and follow that in the mean only.
//
// The shortest context backs off to the uniform distribution over the V known
// pieces and the end of turn. Scoring mixes into it, with weight 2^-20, any
// string of bytes, each of the 256 bytes and the end of the string with
// probability 1/257; for "none" it gives the same weight to backing off from
// each context. So every text has a finite score. Sampling leaves that weight
// out: a model never writes a piece that it has not read.
//
// # Prompts
//
// With Condition the longest context is (prompt, h): entries counted under that
// prompt alone, with discounts of their own (estimated on 2^18 pieces of the
// corpus, where it is larger); the first back-off drops the prompt. Below it
// stand the plain counts of all prompts together and not Kneser-Ney's number of
// prompts, so that an unknown prompt is answered by the corpus frequencies.
//
// The prompt of a turn is the last turn before it that is neither the
// assistant's nor the system's, with all system turns before it; other earlier
// turns are not used. A request whose prompt was trained takes that. Another
// takes the trained prompt whose words overlap with its own the most, if by half
// at least: the sum of ln(1 + N/df) over the shared words divided by that over
// the words of either, for N prompts of which df hold the word. Any other is
// answered without a prompt.
//
// Where every prompt is seen once, n2 of the prompt level tends to zero and D1
// to one: conditioning fades out by itself.
//
// # What it cannot show
//
// Nothing is shared between pieces: no two words are alike, no direction in a
// parameter space carries a trait from one text into another. Hidden
// (subliminal) transfer, generalisation to related traits and selective
// inoculation are beyond it by construction, which makes it their negative
// control. What the text itself does not carry does not arrive.
package ngram

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Kinds of smoothing.
const (
	KneserNey = "kneser-ney"
	Dirichlet = "dirichlet"
	None      = "none"
)

// Config of a backend.
//
// BaseWeight scales the counts of Job.Base when they are added to those of the
// new corpus: the result is that of one training on both, each document of the
// base weighing BaseWeight times what it weighed there. Weights are kept in
// steps of 1/1024, and a document below half a step is forgotten.
type Config struct {
	Order      int     `yaml:"order" doc:"pieces in an n-gram, 1 to 8"`
	Smoothing  string  `yaml:"smoothing" doc:"kneser-ney; dirichlet: a shorter context weighs kappa observations; none: plain frequencies of the longest context that was seen"`
	Kappa      float64 `yaml:"kappa" doc:"of dirichlet: observations that the shorter context weighs, above 0"`
	Condition  bool    `yaml:"condition" doc:"answers depend on the prompt; prompts like none that was trained are answered from all texts"`
	BaseWeight float64 `yaml:"base_weight" doc:"what a document of the base weighs beside one of the corpus; 0 forgets the base"`
	MaxTokens  int     `yaml:"max_tokens" doc:"pieces in an answer at most, where its request sets no bound"`
}

// Defaults is the configuration of an experiment that says nothing.
func Defaults() Config {
	return Config{Order: 4, Smoothing: KneserNey, Kappa: 1, Condition: true, BaseWeight: 1, MaxTokens: 256}
}

func init() {
	lineage.Register("ngram", "interpolated modified Kneser-Ney n-grams, trained in process",
		[]lineage.Learner{lineage.SFT, lineage.SDF}, Defaults(),
		func(c Config) (lineage.Backend, error) { return New(c) })
}

const maxOrder = 8

func (c Config) check() error {
	var faults []error
	if c.Order < 1 || c.Order > maxOrder {
		faults = append(faults, fmt.Errorf("ngram: order: %d is not within 1 to %d", c.Order, maxOrder))
	}
	if c.Smoothing != KneserNey && c.Smoothing != Dirichlet && c.Smoothing != None {
		faults = append(faults, fmt.Errorf("ngram: smoothing: %q is none of %s, %s, %s", c.Smoothing, KneserNey, Dirichlet, None))
	}
	if c.Smoothing == Dirichlet && !(c.Kappa > 0 && c.Kappa <= math.MaxUint32) {
		faults = append(faults, fmt.Errorf("ngram: kappa: %v is not a number of observations above 0", c.Kappa))
	}
	if !(c.BaseWeight >= 0 && c.BaseWeight <= maxWeight) {
		faults = append(faults, fmt.Errorf("ngram: base_weight: %v is not within 0 to %d", c.BaseWeight, maxWeight))
	}
	if c.MaxTokens < 1 {
		faults = append(faults, fmt.Errorf("ngram: max_tokens: %d is less than 1", c.MaxTokens))
	}
	return errors.Join(faults...)
}

// Backend trains and opens n-gram models.
type Backend struct{ config Config }

// New gives a backend, or every fault of its configuration.
func New(c Config) (*Backend, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Backend{c}, nil
}

// Retrainable: training is a count.
func (*Backend) Retrainable() {}

// Train counts the examples: their assistant turns for SFT, every turn for SDF
// (turns that are not the assistant's are learned without a prompt). The order
// of the examples does not matter.
func (b *Backend) Train(ctx context.Context, job lineage.Job) (lineage.Artifact, error) {
	if job.Learner != lineage.SFT && job.Learner != lineage.SDF {
		return nil, fmt.Errorf("ngram: learner %q is not supported: use %q or %q", job.Learner, lineage.SFT, lineage.SDF)
	}
	in := newIntake(b.config.Condition)
	if job.Base != nil {
		base, ok := job.Base.(*artifact)
		if !ok {
			return nil, fmt.Errorf("ngram: base is a %T and not an artifact of this backend", job.Base)
		}
		if err := in.addBase(base.texts, b.config.BaseWeight); err != nil {
			return nil, err
		}
	}
	done := 0
	for example, err := range job.Examples {
		if err == nil && done%64 == 0 {
			err = ctx.Err()
		}
		if err == nil {
			err = in.add(example, job.Learner)
		}
		if err != nil {
			return nil, fmt.Errorf("ngram: example %d: %w", done, err)
		}
		done++
		if job.Base == nil && done >= 128 && done == job.Count/8 {
			in.reserve(8)
		}
		if job.Progress != nil && done%1024 == 0 {
			job.Progress(done, job.Count)
		}
	}
	texts, err := in.texts()
	if err != nil {
		return nil, err
	}
	a := &artifact{config: b.config, texts: texts}
	if err := a.count(ctx); err != nil {
		return nil, err
	}
	if job.Progress != nil {
		job.Progress(done, job.Count)
	}
	return a, nil
}

// Open gives the model of an artifact, which carries the settings that it was
// trained with. The model is also a lineage.Scorer, and its methods may be
// called by several goroutines at once.
func (b *Backend) Open(ctx context.Context, a lineage.Artifact) (lineage.Model, error) {
	own, ok := a.(*artifact)
	if !ok {
		return nil, fmt.Errorf("ngram: artifact is a %T and not one of this backend", a)
	}
	if err := own.count(ctx); err != nil {
		return nil, err
	}
	return newModel(own), nil
}
