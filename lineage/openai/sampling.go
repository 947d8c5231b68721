package openai

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Sampling is how models of a server are asked. The experiment itself says what
// is asked, with which temperature and how often.
type Sampling struct {
	TopP      float64        `yaml:"top_p" doc:"share of the probability that is sampled from, 0 to 1; 1 samples the model's own distribution"`
	MaxTokens int            `yaml:"max_tokens" doc:"longest answer in tokens, where the experiment sets no bound"`
	Stop      []string       `yaml:"stop" doc:"texts that end an answer, 4 at most"`
	Samples   int            `yaml:"samples_per_request" doc:"answers to equal prompts that share one request: the prompt is paid once, and they share one seed; 1 asks for each alone"`
	Extras    map[string]any `yaml:"extras" doc:"further members of a request, such as top_k, min_p or chat_template_kwargs"`
	Omit      []string       `yaml:"omit" doc:"members of a request that the model refuses, of temperature, top_p, seed: its own setting holds"`

	Shots int    `yaml:"shots" doc:"of learner prompted: how many of the documents that were kept stand before one request, drawn by its seed; 0 for all"`
	Place string `yaml:"place" doc:"of learner prompted: turns puts the documents before the request as turns, system into one system message"`

	LogProbs    bool    `yaml:"logprobs" identity:"no" doc:"have the log-probability of each answer told and recorded with it, by servers that can"`
	Stream      bool    `yaml:"stream" identity:"no" doc:"have answers streamed, for servers that cut long ones off otherwise"`
	Batch       bool    `yaml:"batch" identity:"no" doc:"ask by batch files, at half the price and within a day"`
	Parallel    int     `yaml:"parallel" identity:"no" doc:"requests on their way at once, of all models of one server together"`
	Timeout     string  `yaml:"timeout" identity:"no" doc:"how long one answer may take, such as 10m"`
	ErrorBudget float64 `yaml:"error_budget" identity:"no" doc:"share of the requests that a server may refuse for good, 0 to 1; beyond it the model fails"`
}

// DefaultSampling asks for every answer alone.
func DefaultSampling() Sampling {
	return Sampling{TopP: 1, MaxTokens: 1024, Samples: 1, Place: "turns", Parallel: 16, Timeout: "10m", ErrorBudget: 0.02}
}

// check tells every fault.
func (s Sampling) check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	share := func(name string, v float64) {
		if !(v >= 0 && v <= 1) {
			fault("%s: %v is not within [0,1]", name, v)
		}
	}
	atLeast := func(name string, v, least int) {
		if v < least || v > math.MaxInt32 {
			fault("%s: %d is not a whole number of at least %d", name, v, least)
		}
	}
	share("top_p", s.TopP)
	share("error_budget", s.ErrorBudget)
	atLeast("max_tokens", s.MaxTokens, 1)
	atLeast("samples_per_request", s.Samples, 1)
	atLeast("shots", s.Shots, 0)
	atLeast("parallel", s.Parallel, 1)
	if len(s.Stop) > 4 || slices.Contains(s.Stop, "") {
		fault("stop: %q is not a list of at most 4 texts", s.Stop)
	}
	if s.Place != "turns" && s.Place != "system" {
		fault("place: %q is not one of turns, system", s.Place)
	}
	for _, name := range s.Omit {
		if !slices.Contains([]string{"temperature", "top_p", "seed"}, name) {
			fault("omit: %q is not one of temperature, top_p, seed", name)
		}
	}
	if d, err := time.ParseDuration(s.Timeout); err != nil || d < time.Second {
		fault("timeout: %q is not a duration of at least a second, such as 10m", s.Timeout)
	}
	if err := checkExtras(s.Extras); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// body is the request for completions of reqs, which are equal but for their
// seeds; that of the first is sent.
func (m *model) body(reqs []lineage.Request) body {
	r := reqs[0]
	sends := func(name string) bool { return !slices.Contains(m.sampling.Omit, name) }
	b := body{Model: m.artifact.Model, Messages: m.before(r), Stop: m.sampling.Stop, LogProbs: m.sampling.LogProbs, extras: m.sampling.Extras}
	b.bound(m.profile.MaxTokens, m.mostTokens(r))
	if sends("temperature") {
		b.Temperature = &r.Temperature
	}
	if sends("top_p") { // also 1: defaults of servers are lower at times
		b.TopP = &m.sampling.TopP
	}
	if m.profile.Seed && sends("seed") {
		seed := int64((r.Seed ^ r.Seed>>32) & math.MaxInt32) // some servers take 31 bits, and each bit of ours counts
		b.Seed = &seed
	}
	if len(reqs) > 1 {
		b.N = len(reqs)
	}
	return b
}

func (m *model) mostTokens(r lineage.Request) int {
	if r.MaxTokens > 0 {
		return r.MaxTokens
	}
	return m.sampling.MaxTokens
}

// before puts the documents of a prompted model before a request. With them a
// model is led by its context alone, and a chain of such models is iterated
// in-context learning (Zhu and Griffiths, Eliciting the Priors of Large Language
// Models using Iterated In-Context Learning, 2024, arXiv:2406.01860).
func (m *model) before(r lineage.Request) []lineage.Message {
	docs := m.shots(r.Seed)
	if len(docs) == 0 {
		return r.Messages
	}
	system, rest := "", r.Messages
	if rest[0].Role == "system" { // which stands first, and once
		system, rest = rest[0].Content, rest[1:]
	}
	var out []lineage.Message
	if m.sampling.Place == "system" {
		text := "These are conversations that you had before:"
		for _, d := range docs {
			text += "\n\n"
			for _, msg := range d {
				text += "[" + msg.Role + "]\n" + msg.Content + "\n"
			}
		}
		if system != "" {
			text = system + "\n\n" + text
		}
		return append([]lineage.Message{{Role: "system", Content: text}}, rest...)
	}
	if system != "" {
		out = append(out, lineage.Message{Role: "system", Content: system})
	}
	for _, d := range docs {
		out = append(out, d...)
	}
	return append(out, rest...)
}

// shots draws the documents of one request without replacement.
func (m *model) shots(seed uint64) [][]lineage.Message {
	kept, k := m.artifact.Context, m.sampling.Shots
	if k == 0 || k >= len(kept) {
		return kept
	}
	out := make([][]lineage.Message, k)
	for i, j := range rand.New(rand.NewPCG(seed, 1)).Perm(len(kept))[:k] {
		out[i] = kept[j]
	}
	return out
}
