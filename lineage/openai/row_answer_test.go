package openai

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/heirloom-sim/heirloom/lineage"
)

// The tests of this file and of row_limit_test.go hold the rows of the table of
// failures in docs/sampling.md. Time in them is that of a bubble: exact, and it
// costs none.

// bubbled runs a test in a synctest bubble.
func bubbled(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

func TestRow13BrokenAnswersAreNoCompletions(t *testing.T) {
	for name, test := range map[string]struct {
		broken func(w http.ResponseWriter)
		want   string // of the error; "" where it is asked again
	}{
		"HTML 502":   {func(w http.ResponseWriter) { w.WriteHeader(502); fmt.Fprint(w, "<html><h1>Bad Gateway") }, ""},
		"empty 200":  {func(w http.ResponseWriter) {}, ""},
		"truncated":  {func(w http.ResponseWriter) { fmt.Fprint(w, `{"choices":[{"index":0,"message":{"content":"half a`) }, ""},
		"error text": {func(w http.ResponseWriter) { w.WriteHeader(500); fmt.Fprint(w, `{"error":"oops"}`) }, ""},
		"no finish":  {func(w http.ResponseWriter) { fmt.Fprint(w, `{"choices":[{"index":0,"message":{"content":"half a"}}]}`) }, ""},
		"broken off": {func(w http.ResponseWriter) {
			fmt.Fprint(w, `{"choices":[{"message":{"content":"half"},"finish_reason":"abort"}]}`)
		}, ""},
		"error and 200": {func(w http.ResponseWriter) { fmt.Fprint(w, `{"error":{"message":"overloaded"}}`) }, ""},
		"wrong type": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>welcome")
		}, "web page"},
		"65 MiB": {func(w http.ResponseWriter) {
			fmt.Fprint(w, `{"choices":[{"message":{"content":"`)
			for range 65 {
				fmt.Fprint(w, strings.Repeat("a", 1<<20))
			}
		}, "more than 64 MiB"},
	} {
		bubbled(t, name, func(t *testing.T) {
			b := inBubble(t, Server{}, func(w http.ResponseWriter, n int, a asked) {
				if n < 3 || test.want != "" {
					test.broken(w)
					return
				}
				reply(w, a, 1)
			})
			got, err := collect(t, t.Context(), b.model(DefaultSampling(), local(), nil), prompts(1))
			switch {
			case test.want == "" && (err != nil || got[0].Finish != "stop" || len(b.requests()) != 4):
				t.Errorf("%+v after %d requests: %v", got, len(b.requests()), err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || len(got) != 0 || len(b.requests()) != 1):
				t.Errorf("%+v after %d requests: %v, want %s", got, len(b.requests()), err, test.want)
			}
		})
	}
}

// TestRow13WebPageOfAServerThatAnsweredPasses has a proxy put its page in the place
// of an answer: it is not the address that is wrong.
func TestRow13WebPageOfAServerThatAnsweredPasses(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, func(w http.ResponseWriter, n int, a asked) {
			if n == 5 {
				w.Header().Set("Content-Type", "text/html")
				fmt.Fprint(w, "<html>back soon")
				return
			}
			reply(w, a, 1)
		})
		s := DefaultSampling()
		s.Parallel = 1
		if got, err := collect(t, t.Context(), b.model(s, local(), nil), prompts(10)); err != nil || len(got) != 10 || len(b.requests()) != 11 {
			t.Errorf("%d completions of %d requests: %v", len(got), len(b.requests()), err)
		}
	})
}

func TestRow14NoPartOfAStreamIsKept(t *testing.T) {
	chunk := func(format string, args ...any) string { return "data: " + fmt.Sprintf(format, args...) + "\n\n" }
	piece := chunk(`{"choices":[{"index":0,"delta":{"content":"half a "}}]}`)
	end := chunk(`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`)
	for name, test := range map[string]struct {
		stream string
		abort  bool
		whole  bool
	}{
		"closed without an end":      {stream: piece},
		"closed in a piece":          {stream: piece[:len(piece)-12]},
		"aborted":                    {stream: piece, abort: true},
		"an error in its midst":      {stream: piece + chunk(`{"error":{"message":"overloaded","code":500}}`)},
		"the same after a comment":   {stream: piece + ": still here\n\n" + chunk(`{"error":{"message":"overloaded"}}`)},
		"no reason to end":           {stream: piece + "data: [DONE]\n\n"},
		"one of two without an end":  {stream: piece + chunk(`{"choices":[{"index":1,"delta":{"content":"b"}}]}`) + end + "data: [DONE]\n\n"},
		"goes on after its end":      {stream: piece + end + piece + "data: [DONE]\n\n"},
		"garbage":                    {stream: piece + "data: {\"choi\n\n"},
		"an unknown reason":          {stream: piece + chunk(`{"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}`)},
		"empty":                      {stream: ""},
		"whole, though without DONE": {stream: piece + end, whole: true},
		"whole, with comments":       {stream: strings.Repeat(": alive\n\n", 1000) + piece + strings.Repeat(": alive\n\n", 1000) + end + "data: [DONE]\n\n", whole: true},
	} {
		bubbled(t, name, func(t *testing.T) {
			b := inBubble(t, Server{}, func(w http.ResponseWriter, n int, a asked) {
				if n >= 3 {
					pieces(w, a, -1)
					return
				}
				w.Header().Set("Content-Type", "text/event-stream")
				fmt.Fprint(w, test.stream)
				if test.abort {
					w.(http.Flusher).Flush()
					panic(http.ErrAbortHandler)
				}
			})
			s := DefaultSampling()
			s.Stream = true
			got, err := collect(t, t.Context(), b.model(s, local(), nil), prompts(1))
			want, requests := "re: question 0 (seed 0, 0)", 4
			if test.whole {
				want, requests = "half a ", 1
			}
			if err != nil || got[0].Text != want || got[0].Finish != "stop" || len(b.requests()) != requests {
				t.Errorf("%+v after %d requests: %v", got, len(b.requests()), err)
			}
			if !test.whole && got[0].Tokens != 5 {
				t.Errorf("the usage of a stream is not told: %+v", got[0])
			}
		})
	}
}

func TestRow15FewerChoicesAreToppedUp(t *testing.T) {
	for gives, requests := range map[int]int{1: 8, 2: 4, 3: 3, 5: 2, 8: 1, 20: 1} {
		bubbled(t, fmt.Sprint(gives), func(t *testing.T) {
			b := inBubble(t, Server{}, func(w http.ResponseWriter, _ int, a asked) { reply(w, a, gives) })
			s := DefaultSampling()
			s.Samples = 8
			reqs := prompts(16)
			for i := range reqs { // two prompts, by turns
				reqs[i].Messages = prompts(2)[i%2].Messages
			}
			got, err := collect(t, t.Context(), b.model(s, local(), nil), reqs)
			if err != nil || len(got) != 16 || len(b.requests()) != 2*requests {
				t.Fatalf("%d completions of %d requests: %v", len(got), len(b.requests()), err)
			}
			texts := map[string]bool{}
			for i, c := range got {
				texts[c.Text] = true
				if !strings.HasPrefix(c.Text, "re: "+reqs[i].Messages[0].Content) {
					t.Errorf("request %d of %q is answered %q", i, reqs[i].Messages[0].Content, c.Text)
				}
			}
			if len(texts) != 16 {
				t.Errorf("%d different completions of 16", len(texts))
			}
			for _, a := range b.requests() {
				if gives == 8 && a.body.N != 8 {
					t.Errorf("n is %d", a.body.N)
				}
			}
		})
	}
}

func TestRow15WhatIsWrongWithAnAnswerIsCounted(t *testing.T) {
	for want, body := range map[string]string{
		"empty":          `{"choices":[{"message":{"content":""},"finish_reason":"stop","logprobs":null}]}`,
		"empty ":         `{"choices":[{"message":{"content":null},"finish_reason":"stop"}]}`,
		"refusal":        `{"choices":[{"message":{"content":null,"refusal":"I cannot"},"finish_reason":"stop"}]}`,
		"length":         `{"choices":[{"message":{"content":"a"},"finish_reason":"length","logprobs":null}]}`,
		"content_filter": `{"choices":[{"message":{"content":"a"},"finish_reason":"content_filter"}]}`,
		"tool_calls":     `{"choices":[{"message":{"content":null,"tool_calls":[]},"finish_reason":"tool_calls"}]}`,
		"too_long":       `400 {"error":{"message":"maximum context length is 10","code":"context_length_exceeded"}}`,
	} {
		bubbled(t, want, func(t *testing.T) {
			b := inBubble(t, Server{}, func(w http.ResponseWriter, _ int, _ asked) {
				if text, refused := strings.CutPrefix(body, "400 "); refused {
					http.Error(w, text, 400)
					return
				}
				fmt.Fprint(w, body)
			})
			got, err := collect(t, t.Context(), b.model(DefaultSampling(), local(), nil), prompts(1))
			if err != nil || got[0].Finish != strings.TrimSpace(want) || len(b.requests()) != 1 {
				t.Errorf("%+v: %v", got, err)
			}
		})
	}
}

func TestRow15FewRefusedRequestsAreRecordedAndManyAreAnError(t *testing.T) {
	for _, refused := range []int{0, 2, 3, 100} {
		bubbled(t, fmt.Sprint(refused), func(t *testing.T) {
			b := inBubble(t, Server{}, func(w http.ResponseWriter, n int, a asked) {
				var i int
				if fmt.Sscanf(a.prompt(), "question %d", &i); i < refused {
					http.Error(w, `{"error":{"message":"no such thing"}}`, http.StatusBadRequest)
					return
				}
				reply(w, a, 1)
			})
			got, err := collect(t, t.Context(), b.model(DefaultSampling(), local(), nil), prompts(100))
			if refused > 2 {
				if err == nil || !strings.Contains(err.Error(), "error_budget") || !strings.Contains(err.Error(), "no such thing") {
					t.Error(err)
				}
				for i, c := range got {
					if c.Finish == "error" {
						t.Errorf("request %d is recorded as refused, and the settings are at fault", i)
					}
				}
				return
			}
			if err != nil || len(got) != 100 || len(b.requests()) != 100 {
				t.Fatalf("%d completions of %d requests: %v", len(got), len(b.requests()), err)
			}
			told := 0
			for i, c := range got {
				if (c.Finish == "error") != (i < refused) || c.Finish == "error" && c.Text != "" {
					t.Errorf("request %d: %+v", i, c)
				}
			}
			for _, line := range b.logged {
				if strings.Contains(line, "no such thing") {
					told++
				}
			}
			if told != refused {
				t.Errorf("%d of %d are told: %q", told, refused, b.logged)
			}
		})
	}
}

func TestRow16ZerosAreReallySent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inBubble(t, Server{}, func(w http.ResponseWriter, _ int, a asked) { reply(w, a, 1) })
		s := DefaultSampling()
		s.TopP, s.Stop = 0, []string{"\n"}
		s.Extras = map[string]any{"top_k": 0, "min_p": 0.0, "chat_template_kwargs": map[string]any{"enable_thinking": false}}
		reqs := prompts(1)
		reqs[0].Temperature = 0
		reqs[0].Messages = append([]lineage.Message{{Role: "user", Content: "one"}, {Role: "assistant", Content: ""}}, reqs[0].Messages...)
		if _, err := collect(t, t.Context(), b.model(s, local(), nil), reqs); err != nil {
			t.Fatal(err)
		}
		got := b.requests()[0].raw
		want := `{"model":"m","messages":[{"role":"user","content":"one"},{"role":"assistant","content":""},{"role":"user","content":"question 0"}],` +
			`"temperature":0,"top_p":0,"max_tokens":20,"seed":0,"stop":["\n"],"chat_template_kwargs":{"enable_thinking":false},"min_p":0,"top_k":0}`
		if got != want {
			t.Errorf("sent\n%s\nwant\n%s", got, want)
		}
	})
}
