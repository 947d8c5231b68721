package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"

	"github.com/heirloom-sim/heirloom/corpus"
	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/sim/catalogue"
)

func init() {
	detectors.Register("kin", "which of two corpora a text is nearer to: likelihood ratio of two stand-ins, trained on them when it is opened",
		Kin{Threshold: .5, MinTokens: 8},
		func(env detectors.Env, c Kin) (detectors.Detector, error) { return c.open(env) })
}

// Kin asks which line wrote a text. Two models of one backend are trained, one on
// the assistant turns of each corpus, without their prompts. With the
// log-likelihood ratio
//
//	r = (ln P(text | of) − ln P(text | against)) / tokens
//
// in nats a token, the score is the logistic 1/(1 + exp(−r)): one half where
// both are as likely, .73 at one nat. By the lemma of Neyman and Pearson (1933)
// the sum of r over the tokens is the best statistic if the two models are the
// two writers; that a model knows the texts it was trained on by heart is why
// only other texts tell how good it is.
type Kin struct {
	Of        string       `yaml:"of" doc:"file or catalogue corpus: texts of the line that is looked for"`
	Against   string       `yaml:"against" doc:"file or catalogue corpus: texts of the other line"`
	Backend   *BackendSpec `yaml:"backend" doc:"what is trained; ngram where it is not given. It has to train freely and to score"`
	Threshold float64      `yaml:"threshold" doc:"score from which the text is of the line"`
	MinTokens int          `yaml:"min_tokens" doc:"a text of fewer tokens is not scorable"`
}

type kin struct {
	Kin
	models [2]lineage.Scorer
	digest string
}

func (c Kin) open(env detectors.Env) (detectors.Detector, error) {
	var faults []error
	if !(c.Threshold >= 0 && c.Threshold <= 1) {
		faults = append(faults, fmt.Errorf("kin.threshold: %v is not within [0,1]", c.Threshold))
	}
	if c.MinTokens < 1 {
		faults = append(faults, fmt.Errorf("kin.min_tokens: %d is less than 1", c.MinTokens))
	}
	backend, settings, err := c.backend()
	if err != nil {
		faults = append(faults, fmt.Errorf("kin.backend: %w", err))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	d := &kin{Kin: c}
	parts := [][]byte{settings}
	for i, name := range []string{c.Of, c.Against} {
		setting := []string{"kin.of", "kin.against"}[i]
		turns, err := turnsOf(env, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", setting, err)
		}
		if d.models[i], err = learned(backend, turns); err != nil {
			return nil, fmt.Errorf("%s: %w", setting, err)
		}
		parts = append(parts, []byte(digest(turns...)))
	}
	d.digest = digest(parts...)
	return d, nil
}

// backend opens what is trained, and gives its settings in canonical bytes.
func (c Kin) backend() (lineage.Backend, []byte, error) {
	spec := c.Backend
	if spec == nil {
		spec = &BackendSpec{Kind: "ngram"}
	}
	kind, ok := lineage.Lookup(spec.Kind)
	if !ok {
		return nil, nil, fmt.Errorf("the backend %s is not in this program", spec.Kind)
	}
	config := spec.Config
	if config == nil {
		config = kind.Config()
	}
	b, err := kind.Open(config)
	if err != nil {
		return nil, nil, err
	}
	if _, free := b.(lineage.Retrainable); !free {
		return nil, nil, fmt.Errorf("%s would be trained whenever an experiment is opened; only stand-ins that train freely can be", spec.Kind)
	}
	return b, append([]byte(spec.Kind+" "), canonical(config)...), nil
}

// turnsOf reads the assistant turns of a file, or of a corpus of the catalogue.
func turnsOf(env detectors.Env, name string) ([][]byte, error) {
	if name == "" {
		return nil, errors.New("names no file and no corpus of the catalogue")
	}
	var in io.Reader
	if data, ok := catalogue.Corpus(name); ok {
		in, name = bytes.NewReader(data), name+".jsonl"
	} else if env.Open == nil {
		return nil, fmt.Errorf("%s cannot be opened: no files are at hand", name)
	} else {
		f, err := env.Open(name)
		if err != nil {
			return nil, fmt.Errorf("there is no such file, and no such corpus in the catalogue: %w", err)
		}
		defer f.Close()
		in = f
	}
	docs, err := corpus.Parse(name, in, corpus.Options{})
	if err != nil {
		return nil, err
	}
	var turns [][]byte
	for _, d := range docs {
		for _, m := range d.Messages {
			if m.Role == "assistant" && strings.TrimSpace(m.Content) != "" {
				turns = append(turns, []byte(m.Content))
			}
		}
	}
	if len(turns) == 0 {
		return nil, fmt.Errorf("%s: no assistant turn is in it", name)
	}
	return turns, nil
}

// unpaid is the ticket of work that costs nothing.
type unpaid struct{}

func (unpaid) Load() (string, error) { return "", nil }
func (unpaid) Save(string) error     { return nil }

// learned trains a model on texts.
func learned(b lineage.Backend, turns [][]byte) (lineage.Scorer, error) {
	ctx := context.Background()
	art, err := b.Train(ctx, lineage.Job{
		Learner: lineage.SFT, Count: len(turns), Examples: alone(turns), Ticket: unpaid{},
	})
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	m, err := b.Open(ctx, art)
	if err != nil {
		return nil, err
	}
	s, ok := m.(lineage.Scorer)
	if !ok {
		return nil, errors.New("models of this backend cannot score a text; take ngram")
	}
	return s, nil
}

// alone are turns as examples without a prompt.
func alone(turns [][]byte) iter.Seq2[lineage.Example, error] {
	return func(yield func(lineage.Example, error) bool) {
		for _, t := range turns {
			if !yield(lineage.Example{Messages: []lineage.Message{{Role: "assistant", Content: string(t)}}, Weight: 1}, nil) {
				return
			}
		}
	}
}

// Detect implements detectors.Detector.
func (d *kin) Detect(ctx context.Context, us []detectors.Utterance) ([]detectors.Result, error) {
	docs := make([][]lineage.Message, len(us))
	for i, u := range us {
		docs[i] = []lineage.Message{{Role: "assistant", Content: u.Text()}}
	}
	var probs [2][]lineage.LogProb
	for i, m := range d.models {
		var err error
		if probs[i], err = m.LogProb(ctx, docs); err != nil {
			return nil, err
		}
	}
	results := make([]detectors.Result, len(us))
	for i, u := range us {
		p, q := probs[0][i], probs[1][i]
		r := (p.Sum - q.Sum) / float64(p.Tokens)
		switch {
		case strings.TrimSpace(u.Text()) == "":
			results[i].Reason = "the text is empty"
		case p.Tokens < d.MinTokens:
			results[i].Reason = fmt.Sprintf("the text has %d tokens, and fewer than %d tell too little", p.Tokens, d.MinTokens)
		case p.Tokens != q.Tokens || math.IsNaN(r) || math.IsInf(r, 0):
			results[i].Reason = "the two models cannot be compared on the text"
		default:
			results[i] = detectors.Judged(1/(1+math.Exp(-r)), d.Threshold, nil, fmt.Sprintf("%+.3f nats a token over %d", r, p.Tokens))
		}
	}
	return results, ctx.Err()
}

// Digest covers the two corpora and the backend's settings.
func (d *kin) Digest() string { return d.digest }
