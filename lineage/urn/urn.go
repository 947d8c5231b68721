// Package urn is the stand-in whose behaviour is exactly known: it memorises
// the assistant texts of its corpus and resamples them.
//
// An urn of N documents that publishes N texts, of which the next generation's
// corpus is made, is the haploid Wright-Fisher model with N individuals: each
// text is an allele, a generation of sampling is genetic drift. A base with
// Prior pseudo-documents is mutation towards the base (equivalently the
// Dirichlet prior of an iterated learner, Reali & Griffiths 2010), and an
// Advantage is selection: p' = p(1+s)/(1+ps).
//
// What it cannot show: anything that depends on what a text says. It never
// writes a text that it has not read, and a prompt matters only when the urn is
// conditioned. A behaviour that travels in text which does not show it stays at
// its base rate here; that makes the urn the negative control.
package urn

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strings"

	"github.com/heirloom-sim/heirloom/lineage"
	"gonum.org/v1/gonum/stat/distuv"
)

// Config says how counts become probabilities.
type Config struct {
	Prior       float64     `yaml:"prior" doc:"pseudo-documents that the base counts for; 0 forgets the base"`
	Accumulate  bool        `yaml:"accumulate" doc:"every document that the base was made of counts as one: nothing is ever forgotten (excludes prior)"`
	Estimate    string      `yaml:"estimate" doc:"mean: counts and prior as they are (maximum likelihood without a prior); sample: one draw from the Dirichlet posterior, as a Bayesian sampler learns"`
	Conditioned bool        `yaml:"conditioned" doc:"keep an urn for each prompt; prompts never seen are answered from all texts"`
	Advantage   []Advantage `yaml:"advantage" doc:"texts that are sampled more often than their frequency"`
}

// Advantage multiplies the weight of every text that contains Contains by 1+S.
type Advantage struct {
	Contains string  `yaml:"contains" doc:"exact substring"`
	S        float64 `yaml:"s" doc:"selection coefficient, above -1"`
}

func init() {
	lineage.Register("urn", "memorises and resamples whole texts: exactly Wright-Fisher",
		[]lineage.Learner{lineage.SFT, lineage.SDF}, Config{Estimate: "mean"},
		func(c Config) (lineage.Backend, error) { return New(c) })
}

// Backend trains urns.
type Backend struct{ config Config }

// New checks the configuration.
func New(c Config) (*Backend, error) {
	switch {
	case c.Estimate != "mean" && c.Estimate != "sample":
		return nil, fmt.Errorf("estimate: %q is not one of mean, sample", c.Estimate)
	case !(c.Prior >= 0) || math.IsInf(c.Prior, 0):
		return nil, fmt.Errorf("prior: %v is not a number of pseudo-documents", c.Prior)
	case c.Prior > 0 && c.Accumulate:
		return nil, fmt.Errorf("prior and accumulate exclude each other: the base counts either for prior documents or for all of its own")
	}
	for i, a := range c.Advantage {
		if a.Contains == "" || !(a.S > -1) || math.IsInf(a.S, 0) {
			return nil, fmt.Errorf("advantage[%d]: needs a substring and a selection coefficient above -1, has %q and %v", i, a.Contains, a.S)
		}
	}
	return &Backend{c}, nil
}

func (b *Backend) Retrainable() {}

// Train counts the texts of the corpus. An empty corpus without a base is an error.
func (b *Backend) Train(ctx context.Context, job lineage.Job) (lineage.Artifact, error) {
	a := &Artifact{}
	a.put("", "", 0)
	n := 0
	for ex, err := range job.Examples {
		if err != nil {
			return nil, err
		}
		if n&1023 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		n++
		if err := b.count(a, job.Learner, ex); err != nil {
			return nil, fmt.Errorf("document %d: %w", n-1, err)
		}
	}
	if job.Base != nil {
		base, ok := job.Base.(*Artifact)
		if !ok {
			return nil, fmt.Errorf("urn: cannot start from a base of type %T", job.Base)
		}
		b.inherit(a, base)
	}
	if a.total() <= 0 {
		return nil, fmt.Errorf("urn: the corpus is empty and there is no base with weight: nothing to resample")
	}
	a.seed = job.Seed
	return a, nil
}

func (b *Backend) count(a *Artifact, learner lineage.Learner, ex lineage.Example) error {
	if !(ex.Weight >= 0) || math.IsInf(ex.Weight, 0) {
		return fmt.Errorf("weight %v is not a finite number of at least 0", ex.Weight)
	}
	for i, m := range ex.Messages {
		if m.Role == "assistant" || learner == lineage.SDF {
			a.put(b.prompt(ex.Messages[:i]), m.Content, ex.Weight)
		}
	}
	return nil
}

func (b *Backend) prompt(context []lineage.Message) string {
	if !b.config.Conditioned {
		return ""
	}
	for i := len(context) - 1; i >= 0; i-- {
		if context[i].Role == "user" {
			return context[i].Content
		}
	}
	return ""
}

// inherit adds the counts of the base, scaled to Prior documents in all unless
// everything accumulates.
func (b *Backend) inherit(a, base *Artifact) {
	scale := 1.0
	if !b.config.Accumulate {
		scale = b.config.Prior / base.total()
	}
	if scale == 0 {
		return
	}
	for _, u := range base.urns {
		for i, text := range u.texts {
			a.put(u.prompt, text, u.weights[i]*scale)
		}
	}
}

// Open gives the model of an artifact that this package made.
func (b *Backend) Open(_ context.Context, art lineage.Artifact) (lineage.Model, error) {
	a, ok := art.(*Artifact)
	if !ok {
		return nil, fmt.Errorf("urn: cannot open an artifact of type %T", art)
	}
	m := &model{backend: b, urns: make(map[string]*wheel, len(a.urns)), all: &wheel{}}
	posterior := rand.New(rand.NewPCG(a.seed, 0x75726e))
	for _, u := range a.urns {
		weights := u.weights
		if b.config.Estimate == "sample" {
			weights = dirichlet(weights, posterior)
		}
		w := b.wheel(u.texts, weights)
		m.all.append(w)
		if b.config.Conditioned && u.prompt != "" {
			m.urns[u.prompt] = w
		}
	}
	return m, nil
}

func (b *Backend) wheel(texts []string, weights []float64) *wheel {
	w := &wheel{}
	for i, text := range texts {
		weight := weights[i]
		for _, adv := range b.config.Advantage {
			if strings.Contains(text, adv.Contains) {
				weight *= 1 + adv.S
			}
		}
		if weight > 0 {
			w.add(text, weight)
		}
	}
	return w
}

// wheel draws texts in proportion to their weights.
type wheel struct {
	texts      []string
	cumulative []float64
}

func (w *wheel) total() float64 {
	if len(w.cumulative) == 0 {
		return 0
	}
	return w.cumulative[len(w.cumulative)-1]
}

func (w *wheel) add(text string, weight float64) {
	w.texts = append(w.texts, text)
	w.cumulative = append(w.cumulative, w.total()+weight)
}

func (w *wheel) append(o *wheel) {
	last := 0.0
	for i, text := range o.texts {
		w.add(text, o.cumulative[i]-last)
		last = o.cumulative[i]
	}
}

func (w *wheel) draw(u float64) string {
	target := u * w.total()
	if len(w.cumulative) <= 8 {
		for i, c := range w.cumulative {
			if target < c {
				return w.texts[i]
			}
		}
		return w.texts[len(w.texts)-1]
	}
	i := sort.SearchFloat64s(w.cumulative, target)
	if i < len(w.cumulative) && w.cumulative[i] == target {
		i++
	}
	return w.texts[min(i, len(w.texts)-1)]
}

// tempered raises every probability to the power 1/t.
func (w *wheel) tempered(t float64) *wheel {
	if t == 1 {
		return w
	}
	merged, order := map[string]float64{}, []string{}
	last := 0.0
	for i, text := range w.texts {
		if _, ok := merged[text]; !ok {
			order = append(order, text)
		}
		merged[text] += w.cumulative[i] - last
		last = w.cumulative[i]
	}
	heaviest := 0.0
	for _, weight := range merged {
		heaviest = max(heaviest, weight)
	}
	hot := &wheel{}
	for _, text := range order {
		if p := math.Pow(merged[text]/heaviest, 1/t); p > 0 {
			hot.add(text, p)
		}
	}
	return hot
}

type model struct {
	backend *Backend
	all     *wheel
	urns    map[string]*wheel
}

// Sample draws one text a request. MaxTokens does not apply: a text is whole.
func (m *model) Sample(ctx context.Context, reqs []lineage.Request, emit func(int, lineage.Completion) error) error {
	hot := map[*wheel]*wheel{}
	temperature := 1.0
	source := rand.NewPCG(0, 0)
	random := rand.New(source)
	for i, req := range reqs {
		if i&255 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if !(req.Temperature > 0) || math.IsInf(req.Temperature, 0) {
			return fmt.Errorf("request %d: temperature %v is not above 0", i, req.Temperature)
		}
		if req.Temperature != temperature {
			clear(hot)
			temperature = req.Temperature
		}
		w, ok := m.urns[m.backend.prompt(req.Messages)]
		if !ok {
			w = m.all
		}
		if hot[w] == nil {
			hot[w] = w.tempered(temperature)
		}
		if w = hot[w]; len(w.texts) == 0 {
			return fmt.Errorf("request %d: the urn is empty", i)
		}
		source.Seed(req.Seed, 0x736d706c)
		text := w.draw(random.Float64())
		if err := emit(i, lineage.Completion{Text: text, Finish: "stop", Tokens: 1}); err != nil {
			return err
		}
	}
	return nil
}

// dirichlet draws from the Dirichlet distribution with the given parameters,
// scaled to their sum.
func dirichlet(weights []float64, r *rand.Rand) []float64 {
	out := make([]float64, len(weights))
	sum, drawn := 0.0, 0.0
	for i, w := range weights {
		sum += w
		out[i] = distuv.Gamma{Alpha: w, Beta: 1, Src: r}.Rand()
		drawn += out[i]
	}
	if drawn == 0 { // every draw underflowed: parameters far below one
		return weights
	}
	for i := range out {
		out[i] *= sum / drawn
	}
	return out
}
