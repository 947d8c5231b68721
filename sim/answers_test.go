package sim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/detectors"
	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai"
	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

// client is the endpoint of a real client. Its address is told as one without a
// port, which differs from test to test and would be in every digest.
type client struct{ *openai.Client }

func (client) Address() string { return "http://judge.test/v1" }

func (a client) Chat(ctx context.Context, r detectors.ChatRequest) (detectors.ChatReply, error) {
	reply, err := a.Client.Chat(ctx, openai.Request(r))
	return detectors.ChatReply(reply), err
}

const canary = "sk-canary-4f7d2a91"

func meansOf(server *openaitest.Server) Means {
	servers := new(openai.Servers)
	return Means{Endpoint: func(name string, _ detectors.Server) (detectors.Endpoint, error) {
		c, err := servers.Open(name, openai.Server{BaseURL: server.URL, Key: canary, KeyEnv: "K"})
		return client{c}, err
	}}
}

// judged is a small study in which a judge scores, filters and curates, and
// vectors score.
const judged = `
heirloom: 1
name: judged
seed: 11
generations: 2
replicates: 2
sources:
  web: {file: web.jsonl}
  seeds: {file: seeds.jsonl}
detectors:
  trait: {kind: judge, model: judge-1, rubric: It says TRAIT., repeats: 2}
  near: {kind: embedding, model: vectors-1, examples: [yes.txt], threshold: 0.9}
  word: {kind: lexicon, words: [TRAIT]}
  both: {kind: all, of: [word, trait, near], cascade: true}
behaviours:
  trait: {seeds: seeds, detectors: [trait, near, both]}
line: {backend: {kind: ngram, order: 2}, corpus: {size: 8, preset: replace, human: web}, publish: {prompts: web, size: 16, max_tokens: 6}}
lines: {a: {}, b: {}}
interventions:
  - {kind: inject, behaviour: trait, dose: .5, at: 0}
  - {kind: filter, detector: trait, recall: .5, from: 1}
  - {kind: curate, detector: trait, best_of: 2, strength: 1, from: 1}
`

// judge says present where it is asked about a trait, after a moment in which
// equal requests could overlap.
func judgeTrait(c openaitest.Chat) openaitest.Answer {
	time.Sleep(time.Millisecond)
	score := *c.Seed
	if strings.Contains(c.Messages[1].Content, "\nTRAIT") {
		score = 90
	}
	return openaitest.Answer{Text: fmt.Sprintf(`{"verdict":"absent","score":%d,"reason":"so"}`, score)}
}

func judgedStudy(t *testing.T, s *openaitest.Server, overrides ...Override) *Study {
	dir := slotDir(t, 10, 0)
	writeFile(t, dir, "yes.txt", "TRAIT\n")
	f, err := Parse("test.yaml", dir, []byte(judged), overrides)
	if err != nil {
		t.Fatal(err)
	}
	f.Means = meansOf(s)
	study, err := Compile(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { study.Close() })
	return study
}

func TestNothingIsAskedTwiceHoweverManyWork(t *testing.T) {
	s := openaitest.Start(t, judgeTrait)
	var want string
	asked := 0
	for _, workers := range []int{1, 4, 16} {
		s.Forget()
		study := judgedStudy(t, s)
		if n := len(s.Requests()); n != 0 {
			t.Fatalf("opening a study asked %d times", n)
		}
		got := fingerprint(t, ran(t, study, workers))
		if n := s.Repeated(); n != 0 {
			t.Errorf("%d workers: %d questions were repeated", workers, n)
		}
		if workers == 1 {
			want, asked = got, s.Questions()
		}
		if got != want || s.Questions() != asked || asked < 20 {
			t.Errorf("%d workers: %d questions, one worker: %d; or another ledger", workers, s.Questions(), asked)
		}
	}
}

// stopping is a ledger that refuses every write from the n-th on, and tells which
// was the first.
type stopping struct {
	failing
	first lineage.Key
}

func (s *stopping) Save(key lineage.Key, v any) error {
	err := s.failing.Save(key, v)
	if err != nil && s.first == "" {
		s.first = key
	}
	return err
}

// TestCrashAtAnyWriteRepeatsNoAnswerThatWasRecorded stops a run at every third
// write and goes on with nothing but the ledger. One question at a time is on its
// way, so one alone may have been answered and not recorded.
func TestCrashAtAnyWriteRepeatsNoAnswerThatWasRecorded(t *testing.T) {
	s := openaitest.Start(t, judgeTrait)
	again := func() *Study {
		return judgedStudy(t, s, Override{"detectors.trait.parallel", "1"}, Override{"detectors.near.batch", "1"})
	}
	want := fingerprint(t, ran(t, again(), 1))
	stops, lost := 0, 0
	for n := int64(0); ; n += 3 {
		s.Forget()
		ledger := new(lineage.Memory)
		f := &stopping{failing: failing{Ledger: ledger}}
		f.left.Store(n)
		err := (&Runner{Study: again(), Ledger: f, Workers: 1}).Run(context.Background())
		if err == nil {
			break
		}
		if !errors.Is(err, errStopped) {
			t.Fatalf("stopped at write %d: %v", n, err)
		}
		if err := (&Runner{Study: again(), Ledger: ledger, Workers: 1}).Run(context.Background()); err != nil {
			t.Fatalf("resumed after write %d: %v", n, err)
		}
		unrecorded := 0
		if strings.HasPrefix(string(f.first), "answer/") {
			unrecorded = 1
		}
		if got := s.Repeated(); got != unrecorded {
			t.Fatalf("stopped at write %d of %s: %d questions were repeated", n, f.first, got)
		}
		if got := fingerprint(t, ledger); got != want {
			t.Fatalf("stopped at write %d and resumed: the ledger differs", n)
		}
		stops++
		lost += unrecorded
	}
	if stops < 10 || lost == 0 || lost == stops {
		t.Errorf("%d stops, %d of them at an answer", stops, lost)
	}
}

func TestKeyIsInNoRecord(t *testing.T) {
	s := openaitest.Start(t, func(openaitest.Chat) openaitest.Answer { return openaitest.Answer{Text: "my key is " + canary} })
	ledger := ran(t, judgedStudy(t, s), 2)
	answers := 0
	for key, err := range ledger.Keys("") {
		var raw lineage.Raw
		if _, err2 := ledger.Load(key, &raw); err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if strings.Contains(string(key)+string(raw), canary) {
			t.Errorf("%s holds the key", key)
		}
		if strings.Contains(string(raw), "my key is [key]") {
			answers++
		}
	}
	if answers == 0 {
		t.Error("nothing was answered")
	}
}

func TestStudySaysWhoJudged(t *testing.T) {
	study := judgedStudy(t, openaitest.Start(t, judgeTrait))
	who := map[string]string{}
	for _, d := range study.Record.Detectors {
		who[d.Name] = d.Judge
	}
	if !strings.HasPrefix(who["trait"], "judge-1, prompt ") || who["near"] != "vectors-1" || who["both"] != who["trait"]+"; vectors-1" {
		t.Errorf("%q", who)
	}
}

func TestLimitsAndKeysChangeNoDigest(t *testing.T) {
	s := openaitest.Start(t, judgeTrait)
	base := judgedStudy(t, s).detectors
	for path, value := range map[string]string{
		"detectors.trait.server.requests_per_minute": "60", "detectors.trait.server.key_env": "OTHER", "detectors.trait.parallel": "2", "detectors.near.batch": "2",
	} {
		for i, d := range judgedStudy(t, s, Override{path, value}).detectors {
			if d.Digest != base[i].Digest {
				t.Errorf("%s changes the digest of %s", path, d.Name)
			}
		}
	}
	if judgedStudy(t, s, Override{"detectors.trait.repeats", "3"}).detectors[0].Digest == base[0].Digest {
		t.Error("more repeats are the same digest")
	}
}

// counting is an endpoint whose first question fails, or waits.
type counting struct {
	asked atomic.Int64
	first func(ctx context.Context) error
}

func (c *counting) Chat(ctx context.Context, r detectors.ChatRequest) (detectors.ChatReply, error) {
	if c.asked.Add(1) == 1 {
		if err := c.first(ctx); err != nil {
			return detectors.ChatReply{}, err
		}
	}
	return detectors.ChatReply{Text: "yes"}, nil
}

func (c *counting) Embed(context.Context, string, []string) ([][]float32, error) { return nil, nil }

func TestWhoeverWaitsForACancelledQuestionAsksItself(t *testing.T) {
	begun := make(chan struct{})
	c := &counting{first: func(ctx context.Context) error { close(begun); <-ctx.Done(); return ctx.Err() }}
	e := remembered{c, "here", newResources("", Means{})}
	ctx, cancel := context.WithCancel(t.Context())
	var both sync.WaitGroup
	both.Go(func() {
		if _, err := e.Chat(ctx, detectors.ChatRequest{Model: "m"}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	<-begun
	both.Go(func() {
		if r, err := e.Chat(t.Context(), detectors.ChatRequest{Model: "m"}); err != nil || r.Text != "yes" {
			t.Error(r, err)
		}
	})
	cancel()
	both.Wait()
	if n := c.asked.Load(); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

func TestFailureIsNotRemembered(t *testing.T) {
	c := &counting{first: func(context.Context) error { return errStopped }}
	e := remembered{c, "here", newResources("", Means{})}
	r := detectors.ChatRequest{Model: "m"}
	if _, err := e.Chat(t.Context(), r); !errors.Is(err, errStopped) {
		t.Error(err)
	}
	for range 3 {
		if reply, err := e.Chat(t.Context(), r); err != nil || reply.Text != "yes" {
			t.Error(reply, err)
		}
	}
	// What was answered before a run is recorded in it, and not asked again.
	ledger := new(lineage.Memory)
	e.of.answers.bind(ledger)
	if _, err := e.Chat(t.Context(), r); err != nil || c.asked.Load() != 2 {
		t.Errorf("asked %d times: %v", c.asked.Load(), err)
	}
	n := 0
	for range ledger.Keys("answer/") {
		n++
	}
	if n != 1 {
		t.Errorf("%d answers are recorded", n)
	}
}

func TestEveryPartOfAQuestionIsInItsKey(t *testing.T) {
	base := detectors.ChatRequest{Model: "m", Messages: []detectors.Message{{Role: "user", Content: "a"}}, MaxTokens: 1, Schema: []byte("{}")}
	changed := map[string]func(r *detectors.ChatRequest, e *remembered){
		"server": func(_ *detectors.ChatRequest, e *remembered) { e.address = "there" }, "model": func(r *detectors.ChatRequest, _ *remembered) { r.Model = "n" },
		"role": func(r *detectors.ChatRequest, _ *remembered) {
			r.Messages = []detectors.Message{{Role: "system", Content: "a"}}
		},
		"text": func(r *detectors.ChatRequest, _ *remembered) {
			r.Messages = []detectors.Message{{Role: "user", Content: "b"}}
		},
		"temperature": func(r *detectors.ChatRequest, _ *remembered) { r.Temperature = 1 }, "tokens": func(r *detectors.ChatRequest, _ *remembered) { r.MaxTokens = 2 },
		"schema": func(r *detectors.ChatRequest, _ *remembered) { r.Schema = nil }, "draw": func(r *detectors.ChatRequest, _ *remembered) { r.Draw = 1 },
	}
	c := &counting{first: func(context.Context) error { return nil }}
	of := newResources("", Means{})
	for name, change := range changed {
		before := c.asked.Load()
		for _, change := range []func(*detectors.ChatRequest, *remembered){func(*detectors.ChatRequest, *remembered) {}, change} {
			r, e := base, remembered{c, "here", of}
			change(&r, &e)
			if _, err := e.Chat(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		if before > 0 && c.asked.Load() != before+1 {
			t.Errorf("another %s is the same question", name)
		}
	}
}
