package openai

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
)

func user(text string) lineage.Message { return lineage.Message{Role: "user", Content: text} }
func own(text string) lineage.Message  { return lineage.Message{Role: "assistant", Content: text} }

func TestDocumentsStandBeforeARequest(t *testing.T) {
	system := lineage.Message{Role: "system", Content: "be brief"}
	docs := [][]lineage.Message{{user("one"), own("eins")}, {user("two"), own("zwei")}}
	request := lineage.Request{Messages: []lineage.Message{system, user("three")}}
	for place, want := range map[string][]lineage.Message{
		"turns": {system, user("one"), own("eins"), user("two"), own("zwei"), user("three")},
		"system": {{Role: "system", Content: "be brief\n\nThese are conversations that you had before:\n\n[user]\none\n[assistant]\neins\n\n\n[user]\ntwo\n[assistant]\nzwei\n"},
			user("three")},
	} {
		s := DefaultSampling()
		s.Place = place
		m := &model{artifact: &Artifact{Context: docs}, sampling: s}
		if got := m.before(request); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", place, got, want)
		}
		m.artifact = &Artifact{}
		if got := m.before(request); !reflect.DeepEqual(got, request.Messages) {
			t.Errorf("without documents: %q", got)
		}
	}
}

// TestShotsAreDrawnBySeed counts how often each document is drawn: 6 of 20, in
// 4,000 requests, 1,200 times each on average. The chance that one of 20 counts is
// off by 5 standard deviations of 29 is below 2 in 100,000.
func TestShotsAreDrawnBySeed(t *testing.T) {
	var docs [][]lineage.Message
	for i := range 20 {
		docs = append(docs, []lineage.Message{user(fmt.Sprint(i)), own("yes")})
	}
	s := DefaultSampling()
	s.Shots = 6
	m := &model{artifact: &Artifact{Context: docs}, sampling: s}
	drawn := map[string]int{}
	for seed := range uint64(4000) {
		got := m.shots(seed)
		if again := m.shots(seed); !reflect.DeepEqual(got, again) {
			t.Fatalf("seed %d draws differently again", seed)
		}
		once := map[string]bool{}
		for _, d := range got {
			once[d[0].Content] = true
			drawn[d[0].Content]++
		}
		if len(once) != 6 {
			t.Fatalf("seed %d draws %d documents", seed, len(once))
		}
	}
	for doc, n := range drawn {
		if n < 1200-145 || n > 1200+145 {
			t.Errorf("document %s is drawn %d times of 1200", doc, n)
		}
	}
	if len(drawn) != 20 {
		t.Errorf("%d documents are drawn", len(drawn))
	}
}

func TestSettingsThatCannotBeAreRefused(t *testing.T) {
	if err := DefaultSampling().check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Sampling){
		"top_p":               func(s *Sampling) { s.TopP = 1.5 },
		"max_tokens":          func(s *Sampling) { s.MaxTokens = 0 },
		"samples_per_request": func(s *Sampling) { s.Samples = 0 },
		"parallel":            func(s *Sampling) { s.Parallel = -1 },
		"shots":               func(s *Sampling) { s.Shots = -1 },
		"place":               func(s *Sampling) { s.Place = "after" },
		"stop":                func(s *Sampling) { s.Stop = []string{""} },
		"error_budget":        func(s *Sampling) { s.ErrorBudget = -1 },
		"timeout":             func(s *Sampling) { s.Timeout = "soon" },
		"omit":                func(s *Sampling) { s.Omit = []string{"messages"} },
		"extras: temperature": func(s *Sampling) { s.Extras = map[string]any{"temperature": 1} },
		"extras: messages":    func(s *Sampling) { s.Extras = map[string]any{"messages": nil} },
	} {
		s := DefaultSampling()
		change(&s)
		if err := s.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestWhatAModelRefusesIsLeftOut(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, func(w http.ResponseWriter, _ int, a asked) { reply(w, a, 1) })
		s := DefaultSampling()
		s.Omit = []string{"temperature", "top_p", "seed"}
		if _, err := collect(t, t.Context(), b.model(s, local(), nil), prompts(1)); err != nil {
			t.Fatal(err)
		}
		if got, want := b.requests()[0].raw, `{"model":"m","messages":[{"role":"user","content":"question 0"}],"max_tokens":20}`; got != want {
			t.Errorf("sent %s, want %s", got, want)
		}
	})
}
