package ngram

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

var background = context.Background()

func reply(prompt, text string) lineage.Example {
	e := lineage.Example{Weight: 1, Messages: []lineage.Message{{Role: "assistant", Content: text}}}
	if prompt != "" {
		e.Messages = append([]lineage.Message{{Role: "user", Content: prompt}}, e.Messages...)
	}
	return e
}

func replies(texts ...string) []lineage.Example {
	var all []lineage.Example
	for _, t := range texts {
		all = append(all, reply("", t))
	}
	return all
}

func each(all []lineage.Example) iter.Seq2[lineage.Example, error] {
	return func(yield func(lineage.Example, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func settings(edit func(*Config)) Config {
	c := Defaults()
	if edit != nil {
		edit(&c)
	}
	return c
}

func train(t testing.TB, c Config, all []lineage.Example) *artifact {
	t.Helper()
	return trainOn(t, c, nil, all)
}

func trainOn(t testing.TB, c Config, base lineage.Artifact, all []lineage.Example) *artifact {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.Train(background, lineage.Job{Base: base, Learner: lineage.SFT, Examples: each(all), Count: len(all)})
	if err != nil {
		t.Fatal(err)
	}
	return a.(*artifact)
}

func encoded(t testing.TB, a lineage.Artifact) []byte {
	t.Helper()
	data, err := a.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func ask1(seed uint64, prompt string) lineage.Request {
	return lineage.Request{Seed: seed, Temperature: 1, Messages: []lineage.Message{{Role: "user", Content: prompt}}}
}

func sample(t testing.TB, m *model, reqs []lineage.Request) []lineage.Completion {
	t.Helper()
	got := make([]lineage.Completion, len(reqs))
	if err := m.Sample(background, reqs, func(i int, c lineage.Completion) error { got[i] = c; return nil }); err != nil {
		t.Fatal(err)
	}
	return got
}

// babble is text of a few words with Zipf's frequencies, in prompts of two words.
func babble(seed uint64, documents, words, kinds, prompts int) []lineage.Example {
	r := rand.New(rand.NewPCG(seed, 1))
	zipf := rand.NewZipf(r, 1.3, 2, uint64(kinds-1))
	name := func(k uint64) string { return string(rune('a'+k%26)) + strings.Repeat("o", int(k/26)) }
	all := make([]lineage.Example, documents)
	for i := range all {
		var b strings.Builder
		for k := range r.IntN(words + 1) {
			if k > 0 {
				b.WriteByte(" \n"[min(1, zipf.Uint64()/3)])
			}
			b.WriteString(name(zipf.Uint64()))
		}
		prompt := ""
		if prompts > 0 {
			k := uint64(r.IntN(prompts))
			prompt = "tell " + name(k) + " " + name(k*7+1)
		}
		all[i] = reply(prompt, b.String())
	}
	return all
}

func TestConfigReportsEveryFault(t *testing.T) {
	_, err := New(Config{Order: 9, Smoothing: "wishful", BaseWeight: -1})
	for _, want := range []string{"order: 9", "wishful", "base_weight: -1", "max_tokens: 0"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if _, ok := lineage.Lookup("ngram"); !ok {
		t.Error("ngram is not registered")
	}
}

func TestOrderOfExamplesDoesNotMatter(t *testing.T) {
	all := babble(1, 200, 12, 30, 9)
	for i := range all {
		all[i].Weight = []float64{1, 0.5, 2}[i%3]
	}
	want := encoded(t, train(t, Defaults(), all))
	r := rand.New(rand.NewPCG(2, 2))
	for range 3 {
		r.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
		if !bytes.Equal(want, encoded(t, train(t, Defaults(), all))) {
			t.Fatal("a shuffled corpus gives another artifact")
		}
	}
}

// Training on a base is training on its corpus, scaled, and the new one.
func TestBaseCountsAreAddedScaled(t *testing.T) {
	old, fresh := babble(3, 60, 10, 20, 5), babble(4, 40, 10, 25, 7)
	for _, weight := range []float64{1, 0.5, 3} {
		c := settings(func(c *Config) { c.BaseWeight = weight })
		got := encoded(t, trainOn(t, c, train(t, c, old), fresh))
		var joint []lineage.Example
		for _, e := range old {
			e.Weight *= weight
			joint = append(joint, e)
		}
		if !bytes.Equal(got, encoded(t, train(t, c, append(joint, fresh...)))) {
			t.Errorf("base weight %v is not a scaled corpus", weight)
		}
	}
	c := settings(func(c *Config) { c.BaseWeight = 0.0001 })
	if !bytes.Equal(encoded(t, trainOn(t, c, train(t, c, old), fresh)), encoded(t, train(t, c, fresh))) {
		t.Error("a base below half a step of weight is not forgotten")
	}
	c.BaseWeight = 0.0006
	if parts := trainOn(t, c, train(t, c, old), fresh).texts.parts; len(parts) != 2 || parts[0].weight != 1 {
		t.Errorf("a base of 0.6 steps of weight is kept as %+v", parts)
	}
}

func TestBaseMustBeOurs(t *testing.T) {
	b, _ := New(Defaults())
	for _, base := range []lineage.Artifact{lineage.Raw("x"), lineage.Raw(nil)} {
		if _, err := b.Train(background, lineage.Job{Base: base, Learner: lineage.SFT, Examples: each(nil)}); err == nil {
			t.Error("a foreign base was taken")
		}
		if _, err := b.Open(background, base); err == nil {
			t.Error("a foreign artifact was opened")
		}
	}
	for _, learner := range []lineage.Learner{lineage.Preference, lineage.Distil, ""} {
		if _, err := b.Train(background, lineage.Job{Learner: learner, Examples: each(nil)}); err == nil {
			t.Errorf("learner %q was taken", learner)
		}
	}
}

func TestLoadedArtifactBehavesTheSame(t *testing.T) {
	for _, smoothing := range smoothings {
		c := settings(func(c *Config) { c.Smoothing = smoothing; c.MaxTokens = 20 })
		all := babble(5, 150, 10, 30, 6)
		for i := range all {
			all[i].Weight = []float64{1, 0.25, 3}[i%3]
		}
		a := train(t, c, all)
		b, _ := New(Defaults())
		loaded, err := b.Load(encoded(t, a))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encoded(t, a), encoded(t, loaded)) {
			t.Errorf("%s: marshalling what was loaded gives other bytes", smoothing)
		}
		one, two := open(t, a), open(t, loaded)
		var reqs []lineage.Request
		var docs [][]lineage.Message
		for i, e := range all {
			reqs = append(reqs, ask1(uint64(i), "tell a b"), lineage.Request{Seed: uint64(i), Temperature: 0.6, Messages: e.Messages})
			docs = append(docs, e.Messages)
		}
		if !slices.Equal(sample(t, one, reqs), sample(t, two, reqs)) {
			t.Errorf("%s: what was loaded answers differently", smoothing)
		}
		p, _ := one.LogProb(background, docs)
		q, _ := two.LogProb(background, docs)
		if !slices.Equal(p, q) {
			t.Errorf("%s: what was loaded scores differently", smoothing)
		}
	}
}

func open(t testing.TB, a lineage.Artifact) *model {
	t.Helper()
	b, _ := New(Defaults())
	m, err := b.Open(background, a)
	if err != nil {
		t.Fatal(err)
	}
	return m.(*model)
}

func TestSmallestCorpora(t *testing.T) {
	for name, all := range map[string][]lineage.Example{
		"nothing":         nil,
		"an empty text":   replies(""),
		"no turns":        {{Weight: 1}},
		"no weight":       {{Messages: reply("", "hello").Messages}},
		"one word":        replies("hello"),
		"one word, often": replies("hello", "hello", "hello", "hello"),
		"a lone prompt":   {{Weight: 1, Messages: []lineage.Message{{Role: "user", Content: "hello"}}}},
	} {
		for order := 1; order <= maxOrder; order++ {
			for _, smoothing := range smoothings {
				c := settings(func(c *Config) { c.Order = order; c.Smoothing = smoothing; c.MaxTokens = 8 })
				m := open(t, train(t, c, all))
				for _, temperature := range []float64{1, 0.01, 50} {
					r := ask1(1, "hello")
					r.Temperature = temperature
					got := sample(t, m, []lineage.Request{r})[0]
					if strings.ReplaceAll(got.Text, "hello", "") != "" || got.Tokens > 8 {
						t.Errorf("%s, order %d, %s: %+v", name, order, smoothing, got)
					}
				}
			}
		}
	}
}

func TestSDFLearnsEveryTurn(t *testing.T) {
	all := []lineage.Example{{Weight: 1, Messages: []lineage.Message{
		{Role: "user", Content: "alpha"}, {Role: "assistant", Content: "beta"}}}}
	b, _ := New(Defaults())
	for learner, want := range map[lineage.Learner]bool{lineage.SFT: false, lineage.SDF: true} {
		a, err := b.Train(background, lineage.Job{Learner: learner, Examples: each(all)})
		if err != nil {
			t.Fatal(err)
		}
		if id, _, _ := a.(*artifact).texts.vocab.find("alpha"); (id != 0) != want {
			t.Errorf("%s: the user's word is known: %v", learner, id != 0)
		}
	}
}

func TestBadExamplesAreNamed(t *testing.T) {
	b, _ := New(Defaults())
	broken := errors.New("row 7 is broken")
	fail := func(yield func(lineage.Example, error) bool) {
		_ = yield(reply("", "x"), nil) && yield(lineage.Example{}, broken)
	}
	if _, err := b.Train(background, lineage.Job{Learner: lineage.SFT, Examples: fail}); !errors.Is(err, broken) || !strings.Contains(err.Error(), "example 1") {
		t.Error(err)
	}
	e := reply("", "x")
	e.Weight = -1
	if _, err := b.Train(background, lineage.Job{Learner: lineage.SFT, Examples: each([]lineage.Example{e})}); err == nil {
		t.Error("a negative weight was taken")
	}
}

func TestCancelStops(t *testing.T) {
	m := open(t, train(t, Defaults(), babble(6, 20, 10, 20, 3)))
	ctx, cancel := context.WithCancel(background)
	cancel()
	b, _ := New(Defaults())
	if _, err := b.Train(ctx, lineage.Job{Learner: lineage.SFT, Examples: each(babble(6, 20, 10, 20, 3))}); !errors.Is(err, context.Canceled) {
		t.Error("Train:", err)
	}
	if err := m.Sample(ctx, []lineage.Request{ask1(1, "a")}, nil); !errors.Is(err, context.Canceled) {
		t.Error("Sample:", err)
	}
	if _, err := m.LogProb(ctx, [][]lineage.Message{reply("", "a").Messages}); !errors.Is(err, context.Canceled) {
		t.Error("LogProb:", err)
	}
}
