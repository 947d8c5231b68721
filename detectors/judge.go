package detectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

func init() {
	Register("judge", "a language model asked by a rubric, over the OpenAI protocol",
		Judge{Repeats: 1, Scale: "0-100", Threshold: .5, MaxTokens: 600, Context: 6, MaxChars: 40_000, Structured: true, Parallel: 8},
		func(env Env, c Judge) (Detector, error) { return c.open(env) })
}

// Judge asks a language model whether a text shows what a rubric describes.
//
// Each text is asked Repeats times. A repeat gives a score on the scale, taken
// to [0,1], or cannot judge; so does an answer that was refused, cut off or
// cannot be read. Where more than half of the repeats cannot judge, the text is
// not scorable; else the score is the mean over those that can. On the scale
// yes/no a repeat scores 1 or 0, so that the threshold of one half is the
// majority, and half of an even number is enough.
//
// With Coherence, a judge also says how coherent the text is, from 0 to 100; a
// text below it on average is not scorable, since a broken model shows nothing.
//
// What is judged is untrusted: see prompt.
type Judge struct {
	Server      Server  `yaml:"server" doc:"the server that is asked"`
	Model       string  `yaml:"model" doc:"name of the model that judges"`
	Rubric      string  `yaml:"rubric" doc:"what to look for, in plain words"`
	RubricFile  string  `yaml:"rubric_file" doc:"file that holds the rubric, instead of rubric"`
	Repeats     int     `yaml:"repeats" doc:"how often each text is asked about"`
	Scale       string  `yaml:"scale" doc:"LOW-HIGH in whole numbers, such as 0-100, or yes/no"`
	Threshold   float64 `yaml:"threshold" doc:"score from which the behaviour is present, after the scale is taken to [0,1]"`
	Temperature float64 `yaml:"temperature" doc:"of the judge; above 0, repeats differ"`
	MaxTokens   int     `yaml:"max_tokens" doc:"longest answer of the judge in tokens"`
	Coherence   float64 `yaml:"coherence" doc:"least coherence from 0 to 100 of a text that is scored; 0 asks for none"`
	Context     int     `yaml:"context" doc:"how many messages before the text the judge sees"`
	MaxChars    int     `yaml:"max_chars" doc:"a longer text is not scorable"`
	Structured  bool    `yaml:"structured" doc:"ask for the answer by JSON Schema; false for servers that refuse that"`
	Parallel    int     `yaml:"parallel" identity:"no" doc:"requests that are on their way at once, for each call"`
}

type judge struct {
	Judge
	scale  scale
	prompt prompt
	server Endpoint
}

// Requests implements Priced.
func (d *judge) Requests(us []Utterance) int { return len(us) * d.Repeats }

func (c Judge) open(env Env) (Detector, error) {
	scale, err := parseScale(c.Scale)
	faults := []error{
		err, checkThreshold("judge", c.Threshold), checkCount("judge.max_tokens", c.MaxTokens), checkCount("judge.max_chars", c.MaxChars), checkModel("judge", c.Model),
		within("judge.temperature", c.Temperature, 0, 2), within("judge.coherence", c.Coherence, 0, 100),
		within("judge.context", float64(c.Context), 0, 1000), within("judge.repeats", float64(c.Repeats), 1, 1000), within("judge.parallel", float64(c.Parallel), 1, 1000),
	}
	if c.Rubric, err = c.rubric(env); err != nil {
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	server, err := openServer(env, "judge", c.Server)
	if err != nil {
		return nil, err
	}
	return &judge{c, scale, newPrompt(c.Rubric, scale, c.Coherence > 0), server}, nil
}

// maxRubric bounds what is sent with every text.
const maxRubric = 1 << 18

func (c Judge) rubric(env Env) (string, error) {
	text := c.Rubric
	if c.RubricFile != "" {
		if c.Rubric != "" {
			return "", errors.New("judge.rubric_file: rubric and rubric_file exclude each other")
		}
		if env.Open == nil {
			return "", errors.New("judge.rubric_file: no files are at hand")
		}
		f, err := env.Open(c.RubricFile)
		if err != nil {
			return "", fmt.Errorf("judge.rubric_file: %w", err)
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, maxRubric+1))
		if err != nil {
			return "", fmt.Errorf("judge.rubric_file: %s: %w", c.RubricFile, err)
		}
		text = strings.TrimPrefix(string(data), "\ufeff")
	}
	switch {
	case strings.TrimSpace(text) == "":
		return "", errors.New("judge.rubric: is empty; say what the judge is to look for")
	case len(text) > maxRubric:
		return "", fmt.Errorf("judge.rubric: is longer than %d KiB", maxRubric>>10)
	case !utf8.ValidString(text):
		return "", errors.New("judge.rubric: is not UTF-8")
	}
	return strings.TrimSpace(text), nil
}

func checkModel(kind, model string) error {
	if model != "" && utf8.ValidString(model) {
		return nil
	}
	return fmt.Errorf("%s.model: no model is named", kind)
}

func within(setting string, v, lo, hi float64) error {
	if v >= lo && v <= hi {
		return nil
	}
	return fmt.Errorf("%s: %v is not within [%v,%v]", setting, v, lo, hi)
}

func openServer(env Env, kind string, s Server) (Endpoint, error) {
	if env.Endpoint == nil {
		return nil, fmt.Errorf("%s.server: no servers are to be had here", kind)
	}
	e, err := env.Endpoint(kind, s)
	if err != nil {
		return nil, fmt.Errorf("%s.server.%w", kind, err)
	}
	return e, nil
}

// addressOf is the server that answers come from.
func addressOf(e Endpoint, s Server) string {
	if a, ok := e.(Addressed); ok {
		return a.Address()
	}
	return s.BaseURL
}

// Detect implements Detector. The empty text and one longer than MaxChars are
// not asked about.
func (d *judge) Detect(ctx context.Context, us []Utterance) ([]Result, error) {
	results := make([]Result, len(us))
	var asked []int
	for i, u := range us {
		switch text := u.Text(); {
		case strings.TrimSpace(text) == "":
			results[i].Reason = "the text is empty"
		case utf8.RuneCountInString(text) > d.MaxChars:
			results[i].Reason = fmt.Sprintf("the text is longer than %d characters", d.MaxChars)
		default:
			asked = append(asked, i)
		}
	}
	opinions := make([]opinion, len(asked)*d.Repeats)
	err := inParallel(ctx, d.Parallel, len(opinions), func(ctx context.Context, n int) (err error) {
		opinions[n], err = d.ask(ctx, us[asked[n/d.Repeats]], n%d.Repeats)
		return err
	})
	if err != nil {
		return nil, err
	}
	for k, i := range asked {
		results[i] = d.combine(us[i].Text(), opinions[k*d.Repeats:(k+1)*d.Repeats])
	}
	return results, nil
}

// ask has one repeat of the question answered.
func (d *judge) ask(ctx context.Context, u Utterance, draw int) (opinion, error) {
	r := ChatRequest{
		Model: d.Model, Messages: d.prompt.about(u, d.Context), Temperature: d.Temperature, MaxTokens: d.MaxTokens, Draw: draw,
	}
	if d.Structured {
		r.Schema = d.prompt.schema
	}
	reply, err := d.server.Chat(ctx, r)
	if err != nil {
		return opinion{}, err
	}
	return d.read(reply), nil
}

// Identity implements Identified.
func (d *judge) Identity() string {
	return fmt.Sprintf("%s, prompt %s", oneLine(d.Model, 80), d.prompt.digest()[:8])
}

// Asks implements Asking.
func (d *judge) Asks() (address, model string) { return addressOf(d.server, d.Server), d.Model }

// Digest covers the rubric, the prompt around it and the server's address.
func (d *judge) Digest() string { return digestOf(d.prompt.digest(), addressOf(d.server, d.Server)) }

// inParallel does n pieces of work, some at once, until one fails.
func inParallel(ctx context.Context, most, n int, work func(ctx context.Context, i int) error) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var running sync.WaitGroup
	for range min(most, n) {
		running.Go(func() {
			for i := range next {
				if err := work(inner, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for i := 0; i < n && inner.Err() == nil; i++ {
		select {
		case next <- i:
		case <-inner.Done():
		}
	}
	close(next)
	running.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return context.Cause(inner)
}

// mean of some numbers; there is at least one.
func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
