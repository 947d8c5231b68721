package transformer

import (
	"math"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

// TestSamplesFollowTheScores asks 4,000 times and holds the frequency of each of
// the common answers against its probability: with 12 answers or fewer, 4.5
// standard errors are passed by chance once in 10,000 runs.
func TestSamplesFollowTheScores(t *testing.T) {
	corpus, _ := pairs()
	corpus = append(corpus, reply("Question 1?", "Perhaps."))
	c := tiny(func(c *Config) { c.Scratch.Epochs = 60 })
	a := train(t, c, jobOf(lineage.SFT, corpus))
	const n = 4000
	reqs := make([]lineage.Request, n)
	for i := range reqs {
		reqs[i] = lineage.Request{Messages: corpus[2].Messages[:1], Seed: uint64(i), Temperature: 1}
	}
	times := map[string]int{}
	for _, c := range ask(t, a, c, reqs) {
		if c.Finish == "stop" {
			times[c.Text]++
		}
	}
	checked := 0
	for text, count := range times {
		if count < 20 {
			continue
		}
		checked++
		p := math.Exp(score(t, a, talk("Question 1?", text))[0].Sum)
		if z := (float64(count) - n*p) / math.Sqrt(n*p*(1-p)); math.Abs(z) > 4.5 {
			t.Errorf("%q came %d times of %d and has the probability %.4f: z = %.1f", text, count, n, p, z)
		}
	}
	if checked < 2 || checked > 12 {
		t.Errorf("%d answers were common", checked)
	}
}

func TestSettingsOfSampling(t *testing.T) {
	corpus, _ := pairs()
	a := train(t, tiny(), jobOf(lineage.SFT, corpus))
	reqs := make([]lineage.Request, 40)
	for i := range reqs {
		reqs[i] = lineage.Request{Messages: corpus[0].Messages[:1], Seed: uint64(i), Temperature: 1.5}
	}
	distinct := func(change func(*Config)) int {
		texts := map[string]bool{}
		for _, c := range ask(t, a, tiny(change), reqs) {
			texts[c.Text] = true
		}
		return len(texts)
	}
	if n := distinct(func(*Config) {}); n < 5 {
		t.Errorf("of 40 answers at temperature 1.5, %d are distinct", n)
	}
	if n := distinct(func(c *Config) { c.TopK = 1 }); n != 1 {
		t.Errorf("with top_k 1, %d answers are distinct", n)
	}
	if n := distinct(func(c *Config) { c.TopP = 1e-6 }); n != 1 {
		t.Errorf("with top_p 1e-6, %d answers are distinct", n)
	}
	for _, c := range ask(t, a, tiny(func(c *Config) { c.MaxTokens = 3 }), reqs) {
		if c.Tokens > 3 || c.Tokens == 3 && c.Finish != "length" {
			t.Errorf("with max_tokens 3, an answer has %d tokens and ended by %s", c.Tokens, c.Finish)
		}
	}
}

func TestPromptsLongerThanTheContextKeepTheirEnd(t *testing.T) {
	corpus, _ := pairs()
	c := tiny()
	a := train(t, c, jobOf(lineage.SFT, corpus))
	long := strings.Repeat("never mind that ", 100)
	question := "Question 1?"
	for _, bound := range []int{0, 5, 500} {
		for _, got := range ask(t, a, c, []lineage.Request{
			{Messages: []lineage.Message{{Role: "user", Content: long + question}}, Temperature: 1, MaxTokens: bound},
			{Messages: []lineage.Message{{Role: "user", Content: "other " + long + question}}, Temperature: 1, MaxTokens: bound},
		}) {
			want := a.shape().Context / 2
			if bound == 5 {
				want = a.shape().Context - 5
			}
			if got.PromptTokens != want || got.Tokens > a.shape().Context-want {
				t.Errorf("bound %d: %d tokens of the prompt are seen and %d written, the context is %d", bound, got.PromptTokens, got.Tokens, a.shape().Context)
			}
		}
	}
}

// A text that is cut into sequences has as many scored tokens as it has tokens,
// and no other score than their sum.
func TestLongTextsAreScoredWhole(t *testing.T) {
	corpus, _ := pairs()
	a := train(t, tiny(), jobOf(lineage.SFT, corpus))
	text := strings.Repeat("Yes, gladly. No, never. ", 60)
	p := score(t, a, talk("Question 1?", text))[0]
	if want := len(a.tokenizer.encoder().text(nil, text)) + 1; p.Tokens != want || !(p.Sum < 0) {
		t.Errorf("scored %v, want %d tokens", p, want)
	}
}

func TestNothingIsWrittenThatWasNotRead(t *testing.T) {
	base := train(t, tiny(), jobOf(lineage.SFT, []lineage.Example{reply("Well?", "abc"), reply("Well?", "cab")}))
	job := jobOf(lineage.SFT, []lineage.Example{reply("Well?", "xyz")})
	job.Base = base
	a := train(t, tiny(func(c *Config) { c.Epochs = 1 }), job)
	for i, set := range []string{"Well?abc", "Well?abcxyz"} {
		var reqs []lineage.Request
		for seed := range uint64(100) {
			reqs = append(reqs, lineage.Request{Messages: talk("Really?", "")[:1], Seed: seed, Temperature: 5})
		}
		seen := ""
		for _, c := range ask(t, []*artifact{base, a}[i], tiny(), reqs) {
			seen += c.Text
		}
		for j := range len(seen) {
			if !strings.Contains(set, seen[j:j+1]) {
				t.Fatalf("it writes %q, and read only %s", seen[j], set)
			}
		}
		for j := range len(set) {
			if !strings.Contains(seen, set[j:j+1]) {
				t.Errorf("at temperature 5 it never writes %q", set[j])
			}
		}
	}
}
