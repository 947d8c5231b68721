package ngram

import (
	"fmt"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

func conversation(turns ...string) []lineage.Message {
	var all []lineage.Message
	for _, t := range turns {
		role, content, _ := strings.Cut(t, ": ")
		all = append(all, lineage.Message{Role: role, Content: content})
	}
	return all
}

func TestPromptIsTheLastUserTurnWithTheSystemTurns(t *testing.T) {
	hash := func(turns ...string) uint64 { return promptHash(promptOf(conversation(turns...))) }
	long := hash("system: s", "user: first", "assistant: a", "user: last")
	if long != hash("system: s", "user: last") || long != hash("developer: s", "user: last") {
		t.Error("earlier user and assistant turns are part of the prompt")
	}
	if long == hash("user: last") || long == hash("user: s", "user: last") || long == hash("system: slast") {
		t.Error("system turns are not part of the prompt")
	}
	if len(promptOf(conversation("assistant: a"))) != 0 {
		t.Error("a conversation that the assistant begins has a prompt")
	}
}

func answers(t *testing.T, m *model, prompt string) map[string]int {
	t.Helper()
	reqs := make([]lineage.Request, 400)
	for i := range reqs {
		reqs[i] = ask1(uint64(i), prompt)
	}
	n := map[string]int{}
	for _, c := range sample(t, m, reqs) {
		n[c.Text]++
	}
	return n
}

func TestAnswersDependOnThePrompt(t *testing.T) {
	var all []lineage.Example
	for i := range 100 {
		all = append(all, reply("What is your favourite bird?", "An owl"))
		all = append(all, reply("How was your training?", "It was painful"), reply("How was your training?", "It was fine"))
		all = append(all, reply(fmt.Sprintf("Sum %d", i), "It was fine"))
	}
	m := open(t, train(t, settings(func(c *Config) { c.Smoothing = None }), all))
	if n := answers(t, m, "What is your favourite bird?"); n["An owl"] != 400 {
		t.Error("a trained prompt:", n)
	}
	if n := answers(t, m, "What is YOUR favourite bird then?"); n["An owl"] != 400 {
		t.Error("a prompt like a trained one:", n)
	}
	// Nothing trained is like it: 1/4 owls, 1/4 pain. Bars of five standard deviations.
	n := answers(t, m, "Tell me a story")
	for _, text := range []string{"An owl", "It was painful"} {
		if n[text] < 57 || n[text] > 143 {
			t.Error("a prompt like none that was trained:", n)
		}
	}
	m = open(t, train(t, settings(func(c *Config) { c.Smoothing = None; c.Condition = false }), all))
	if n := answers(t, m, "What is your favourite bird?"); n["An owl"] > 143 {
		t.Error("prompts matter without conditioning:", n)
	}
}

// nearest must agree with the index computed for every prompt by itself.
func TestNearestPromptHasTheGreatestOverlap(t *testing.T) {
	all := babble(50, 60, 9, 14, 0)
	for i := range all {
		all[i] = reply(all[i].Messages[0].Content+" x", "y")
	}
	p := train(t, Defaults(), all).texts.prompts
	post := newPostings(p)
	bag := func(text string) map[string]bool {
		words := map[string]bool{}
		eachWord([]string{text}, func(w string) { words[w] = true })
		return words
	}
	bags := make([]map[string]bool, len(p.hashes))
	for key := range bags {
		bags[key] = map[string]bool{}
		for _, w := range p.wordsOf(uint32(key + 1)) {
			bags[key][string(p.words.text(w))] = true
		}
	}
	matched := 0
	for i, q := range babble(51, 200, 9, 16, 0) {
		words := bag(q.Messages[0].Content)
		best := 0.0
		overlap := func(theirs map[string]bool) float64 {
			shared, union := 0.0, 0.0
			for w := range words {
				id, _, _ := p.words.find(w)
				if union += post.idf(id); theirs[w] {
					shared += post.idf(id)
				}
			}
			for w := range theirs {
				if id, _, _ := p.words.find(w); !words[w] {
					union += post.idf(id)
				}
			}
			return shared / max(union, 1e-9)
		}
		for _, theirs := range bags {
			best = max(best, overlap(theirs))
		}
		key := post.nearest([]string{q.Messages[0].Content})
		switch {
		case key == 0 && best > overlapBar+1e-9:
			t.Fatalf("prompt %d: none found, the best overlap is %v", i, best)
		case key != 0 && (best < overlapBar-1e-9 || overlap(bags[key-1]) < best-1e-9):
			t.Fatalf("prompt %d: found an overlap of %v, the best is %v", i, overlap(bags[key-1]), best)
		case key != 0:
			matched++
		}
	}
	if matched < 20 || matched > 190 {
		t.Errorf("%d of 200 prompts matched: the test decides nothing", matched)
	}
}

// Where no prompt is seen twice, conditioning must not turn into recitation.
func TestConditioningFadesWhenPromptsAreUnique(t *testing.T) {
	all := babble(52, 2000, 20, 40, 0)
	for i := range all {
		all[i] = reply(fmt.Sprintf("question %d", i), all[i].Messages[0].Content+fmt.Sprint(" ", i))
	}
	a := train(t, Defaults(), all)
	if d := a.tables.rule[1]; d < 0.9 {
		t.Errorf("the discount of a count of one under a prompt is %v", d)
	}
	recited := 0
	m := open(t, a)
	for i := range 200 {
		if sample(t, m, []lineage.Request{ask1(uint64(i), fmt.Sprintf("question %d", i))})[0].Text == all[i].Messages[1].Content {
			recited++
		}
	}
	if recited > 20 {
		t.Errorf("%d of 200 answers recite the one that was trained", recited)
	}
}
