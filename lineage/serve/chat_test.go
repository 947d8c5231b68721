package serve_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/serve"
)

func texts(v map[string]any) (all []string) {
	for _, c := range v["choices"].([]any) {
		all = append(all, c.(map[string]any)["message"].(map[string]any)["content"].(string))
	}
	return all
}

// What the server says is what the model behind it says for the same seed.
func TestAnswersAreThoseOfTheModelBehind(t *testing.T) {
	m := ngramModel(t, "hl-base", sayings...)
	h := start(t, serve.Options{Models: []serve.Model{m}})
	inside, err := m.Backend.Open(t.Context(), m.Artifact)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range 50 {
		for _, temperature := range []float64{.5, 1, 1.5} {
			want := ""
			err := inside.Sample(t.Context(), []lineage.Request{{
				Messages: []lineage.Message{{Role: "user", Content: "Tell me."}}, Seed: uint64(seed), Temperature: temperature,
			}}, func(_ int, c lineage.Completion) error { want = c.Text; return nil })
			if got := text(h.say("hl-base", map[string]any{"seed": seed, "temperature": temperature})); err != nil || got != want {
				t.Fatalf("seed %d at %v: %q, want %q: %v", seed, temperature, got, want, err)
			}
		}
	}
}

func TestChoicesDiffer(t *testing.T) {
	h := start(t, serve.Options{})
	all := texts(h.say("hl-urn", map[string]any{"seed": 1, "n": 40}))
	counts := map[string]int{}
	for _, s := range all {
		counts[s]++
	}
	if len(all) != 40 || len(counts) < 3 {
		t.Errorf("%v", counts)
	}
	if again := texts(h.say("hl-urn", map[string]any{"seed": 1, "n": 40})); fmt.Sprint(again) != fmt.Sprint(all) {
		t.Errorf("the same seed, other choices")
	}
	if a, b := texts(h.say("hl-urn", map[string]any{"n": 40})), texts(h.say("hl-urn", map[string]any{"n": 40})); fmt.Sprint(a) == fmt.Sprint(b) {
		t.Errorf("without a seed every request is answered alike")
	}
}

func TestTemperatureZeroIsTheLikeliest(t *testing.T) {
	m := urnModel(t, "hl-urn", "often", "often", "often", "rare")
	h := start(t, serve.Options{Models: []serve.Model{m}})
	for _, more := range []map[string]any{{"temperature": 0, "n": 50}, {"top_p": 0, "n": 50}} {
		for _, s := range texts(h.say("hl-urn", more)) {
			if s != "often" {
				t.Errorf("%v: %q", more, s)
			}
		}
	}
}

func TestAnswersEndWhereTheyAreTold(t *testing.T) {
	h := start(t, serve.Options{Models: []serve.Model{urnModel(t, "hl-urn", "The ferry leaves at dawn, they say.")}})
	for _, test := range []struct {
		more         map[string]any
		want, finish string
	}{
		{nil, "The ferry leaves at dawn, they say.", "stop"},
		{map[string]any{"max_tokens": 3}, "The ferry leaves", "length"},
		{map[string]any{"max_completion_tokens": 6}, "The ferry leaves at dawn,", "length"},
		{map[string]any{"max_tokens": 100}, "The ferry leaves at dawn, they say.", "stop"},
		{map[string]any{"stop": " at"}, "The ferry leaves", "stop"},
		{map[string]any{"stop": []string{"say", "dawn"}}, "The ferry leaves at ", "stop"},
	} {
		v := h.say("hl-urn", test.more)
		c := v["choices"].([]any)[0].(map[string]any)
		u := v["usage"].(map[string]any)
		if text(v) != test.want || c["finish_reason"] != test.finish || int(u["completion_tokens"].(float64)) != serve.Tokens(test.want) {
			t.Errorf("%v: %v", test.more, v)
		}
	}
}

func TestLogprobsAreTheScorers(t *testing.T) {
	m := ngramModel(t, "hl-base", sayings...)
	h := start(t, serve.Options{Models: []serve.Model{m, urnModel(t, "hl-urn", "x")}})
	inside, _ := m.Backend.Open(t.Context(), m.Artifact)
	v := h.say("hl-base", map[string]any{"seed": 1, "logprobs": true, "top_logprobs": 1})
	want, err := inside.(lineage.Scorer).LogProb(t.Context(), [][]lineage.Message{{{Role: "user", Content: "Tell me."}, {Role: "assistant", Content: text(v)}}})
	if err != nil {
		t.Fatal(err)
	}
	entry := v["choices"].([]any)[0].(map[string]any)["logprobs"].(map[string]any)["content"].([]any)[0].(map[string]any)
	if got := entry["logprob"].(float64); math.Abs(got-want[0].Sum) > 1e-9 || entry["token"] != text(v) {
		t.Errorf("%v, want %v", entry, want)
	}
	v = h.say("hl-base", map[string]any{"seed": 1, "logprobs": true, "max_tokens": 2})
	if got := v["choices"].([]any)[0].(map[string]any)["logprobs"].(map[string]any)["content"]; got != nil {
		t.Errorf("an answer that was cut off has a probability: %v", got)
	}
	var fault map[string]any
	resp := h.do("POST", "/chat/completions", map[string]any{"model": "hl-urn", "logprobs": true, "messages": []any{map[string]string{"role": "user", "content": "x"}}}, &fault)
	if resp.StatusCode != 400 || !strings.Contains(fmt.Sprint(fault), "cannot score") {
		t.Errorf("%d %v", resp.StatusCode, fault)
	}
}

func TestWhatTheModelsDoNotHaveIsTold(t *testing.T) {
	var logged []string
	h := start(t, serve.Options{Log: func(format string, args ...any) { logged = append(logged, fmt.Sprintf(format, args...)) }})
	for range 3 {
		resp := h.do("POST", "/chat/completions", map[string]any{
			"model": "hl-base", "top_p": .9, "presence_penalty": 1, "messages": []any{map[string]string{"role": "user", "content": "x"}},
		}, nil)
		if got := resp.Header.Get("X-Heirloom-Ignored"); got != "presence_penalty, top_p" {
			t.Errorf("%q", got)
		}
	}
	if len(logged) != 2 {
		t.Errorf("%q", logged)
	}
}

func TestStreamsOfEveryShape(t *testing.T) {
	h := start(t, serve.Options{}) // the gate looks at every event
	for _, more := range []map[string]any{{}, {"n": 3}, {"stream_options": map[string]any{"include_usage": true}}, {"max_tokens": 1}, {"logprobs": true}} {
		body := map[string]any{"model": "hl-base", "seed": 4, "stream": true, "messages": []any{map[string]string{"role": "user", "content": "Tell me."}}}
		for k, v := range more {
			body[k] = v
		}
		var all string
		if resp := h.do("POST", "/chat/completions", body, &all); resp.StatusCode != 200 || !strings.HasSuffix(all, "data: [DONE]\n\n") {
			t.Errorf("%v: %d %s", more, resp.StatusCode, all)
		}
	}
}

func TestTokens(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "a": 1, "The ferry leaves at dawn.": 6, "  two  spaces ": 5, "12345": 2, "…!?": 2, "!?!?": 2, "🙂🙂": 2, "unquestionably": 2, "日本語のテキスト": 8, " Привет": 2, "déjà": 1, "\xff\xfe": 1, "a\n\nb": 3,
	} {
		if got := serve.Tokens(text); got != want {
			t.Errorf("%q has %d tokens, want %d", text, got, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		text := make([]byte, r.IntN(40))
		for i := range text {
			text[i] = "a Z9.\n\xe2\x82\xac\xf0\x9f\x99\x82\xff"[r.IntN(14)]
		}
		if n := serve.Tokens(string(text)); n > len(text) || n == 0 && len(text) > 0 {
			t.Fatalf("%q has %d tokens", text, n)
		}
	}
}
