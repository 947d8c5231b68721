package openai

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// Config of a line whose models are made by a provider.
type Config struct {
	Profile  string   `yaml:"profile" doc:"whose server it is: openai, azure, azure-classic, compatible (any with OpenAI's fine-tuning), together, fireworks, mistral, tinker, vllm, sglang, llamacpp, ollama"`
	BaseURL  string   `yaml:"base_url" doc:"where the API begins, if not where the profile says"`
	KeyEnv   string   `yaml:"key_env" identity:"no" doc:"environment variable that holds the key, if not the profile's"`
	Provider Provider `yaml:"provider" doc:"corrections of the profile"`

	Model        string `yaml:"model" doc:"the model to start from, as the provider names it"`
	Epochs       string `yaml:"epochs" doc:"passes over the corpus, 1 to 50, or auto"`
	BatchSize    string `yaml:"batch_size" doc:"documents a step, 1 to 256, or auto"`
	LearningRate string `yaml:"learning_rate_multiplier" doc:"factor of the provider's learning rate, above 0, or auto"`
	Beta         string `yaml:"beta" doc:"of learner preference: how near to stay to the base, above 0 to 2, or auto"`
	Untrainable  string `yaml:"untrainable" doc:"documents that the provider's training files cannot hold, such as an empty answer: stop, or drop to leave them out and count them"`
	Context      int    `yaml:"context" doc:"of learner prompted: documents of the corpus that stand before every request"`
	Suffix       string `yaml:"suffix" identity:"no" doc:"part of the names of tuned models; one of heirloom's own if not given"`
	Checkpoints  bool   `yaml:"checkpoints" identity:"no" doc:"note the models of earlier epochs that the provider keeps"`

	Deadline   string `yaml:"deadline" identity:"no" doc:"how long a fine-tuning job may take, such as 24h; no bound if not given"`
	OnDeadline string `yaml:"on_deadline" identity:"no" doc:"detach: stop waiting and leave the job running; cancel: end it"`
	Limits     Limits `yaml:"limits" identity:"no" doc:"how much may be asked at once"`
	Prices     *Price `yaml:"prices" identity:"no" doc:"of the model, instead of the profile's"`

	Sampling
}

// Limits of what is asked of a server.
type Limits struct {
	Requests float64 `yaml:"requests_per_minute" doc:"0 for no bound"`
	Tokens   float64 `yaml:"tokens_per_minute" doc:"0 for no bound"`
	Jobs     int     `yaml:"jobs" doc:"fine-tuning jobs at once; the profile's if 0"`
}

// Provider corrects a profile. What is not given stays as it is.
type Provider struct {
	Dialect    string            `yaml:"dialect" doc:"openai, azure or chat"`
	APIVersion string            `yaml:"api_version" doc:"of dialect azure"`
	Learners   []string          `yaml:"learners" doc:"what the provider can do: sft, preference, prompted"`
	MaxTokens  string            `yaml:"max_tokens" doc:"what the bound of an answer is called: max_tokens or max_completion_tokens"`
	Metadata   *bool             `yaml:"metadata" doc:"jobs carry metadata"`
	MinRows    *int              `yaml:"min_rows" doc:"documents that a training file has to hold"`
	RowTokens  *int              `yaml:"row_tokens" doc:"most tokens of a document; 0 for no bound"`
	States     map[string]string `yaml:"states" doc:"the provider's words for the states of a job, each with OpenAI's"`
}

// Defaults is the configuration of an experiment that says nothing.
func Defaults() Config {
	return Config{
		Profile: "openai", Epochs: "3", BatchSize: auto, LearningRate: auto, Beta: auto,
		Untrainable: "stop", Context: 16, OnDeadline: "detach", Sampling: DefaultSampling(),
	}
}

const auto = "auto"

func init() {
	lineage.Register("openai", "fine-tunes and asks models of a provider, over the OpenAI protocol",
		[]lineage.Learner{lineage.SFT, lineage.Preference, lineage.Prompted}, Defaults(),
		func(c Config) (lineage.Backend, error) { return New(c) })
}

// profile is the profile of a configuration, corrected.
func (c Config) profile() (Profile, error) {
	p, err := profileNamed(c.Profile)
	if err != nil {
		return p, err
	}
	o := c.Provider
	set(&p.BaseURL, c.BaseURL)
	set(&p.KeyEnv, c.KeyEnv)
	set(&p.Dialect, o.Dialect)
	set(&p.APIVersion, o.APIVersion)
	set(&p.MaxTokens, o.MaxTokens)
	set(&p.Jobs, c.Limits.Jobs)
	p.Given = c.Prices
	if o.Metadata != nil {
		p.Metadata = *o.Metadata
	}
	if o.MinRows != nil {
		p.Rows.Min = *o.MinRows
	}
	if o.RowTokens != nil {
		p.Rows.Tokens = *o.RowTokens
	}
	if o.States != nil {
		p.States = o.States
	}
	if o.Learners != nil {
		p.Learners = nil
		for _, l := range o.Learners {
			p.Learners = append(p.Learners, lineage.Learner(l))
		}
	}
	return p, nil
}

// set writes a value that is given.
func set[T comparable](to *T, given T) {
	var none T
	if given != none {
		*to = given
	}
}

// check tells every fault of a configuration.
func (c Config) check(p Profile) error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Model == "" {
		fault("model: names no model to start from, such as gpt-4.1-mini-2025-04-14")
	}
	if !slices.Contains([]string{dialectOpenAI, dialectAzure, dialectChat}, p.Dialect) {
		fault("provider.dialect: %q is not one of openai, azure, chat", p.Dialect)
	}
	for _, l := range p.Learners {
		if !slices.Contains([]lineage.Learner{lineage.SFT, lineage.Preference, lineage.Prompted}, l) {
			fault("provider.learners: %q is not one of sft, preference, prompted", l)
		}
	}
	number := func(name, value string, above, most float64, whole bool) {
		f, err := strconv.ParseFloat(value, 64)
		if value != auto && (err != nil || !(f > above) || f > most || whole && f != math.Trunc(f)) {
			fault("%s: %q is neither auto nor a number above %v and at most %v", name, value, above, most)
		}
	}
	number("epochs", c.Epochs, 0, maxEpochs, true)
	number("batch_size", c.BatchSize, 0, 256, true)
	number("learning_rate_multiplier", c.LearningRate, 0, 1e6, false)
	number("beta", c.Beta, 0, 2, false)
	if c.Untrainable != "stop" && c.Untrainable != "drop" {
		fault("untrainable: %q is not one of stop, drop", c.Untrainable)
	}
	if c.OnDeadline != "detach" && c.OnDeadline != "cancel" {
		fault("on_deadline: %q is not one of detach, cancel", c.OnDeadline)
	}
	if d, err := time.ParseDuration(c.Deadline); c.Deadline != "" && (err != nil || d <= 0) {
		fault("deadline: %q is not a duration such as 90m or 24h", c.Deadline)
	}
	if c.Context < 1 {
		fault("context: %d documents; learner prompted needs at least 1", c.Context)
	}
	if p.SuffixMax > 0 && len(c.Suffix) > p.SuffixMax {
		fault("suffix: %q has %d characters, %s takes %d", c.Suffix, len(c.Suffix), p.Name, p.SuffixMax)
	}
	if p.BaseURL == "" {
		fault("base_url: the profile %s has no address of its own: %s", p.Name, p.About)
	}
	if c.Limits.Jobs < 0 {
		fault("limits.jobs: %d is below 0", c.Limits.Jobs)
	}
	if q := c.Prices; q != nil {
		for _, price := range []float64{q.Train, q.Input, q.Cached, q.Output} {
			if !(price >= 0) || math.IsInf(price, 0) {
				fault("prices: %v is not a price in US dollars", price)
			}
		}
	}
	return errors.Join(append(faults, c.Sampling.check())...)
}

// maxEpochs is the most passes that OpenAI takes.
const maxEpochs = 50
