package openai

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// The tests of this file hold the rows of the failure matrix in
// docs/real-models.md that are about sampling. Time in them is that of a bubble:
// exact, and it costs none.

// bubbled runs a test in a synctest bubble.
func bubbled(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

func TestRow4PausesAreAsLongAsTheServerSays(t *testing.T) {
	for name, test := range map[string]struct {
		headers map[string]string
		want    time.Duration
	}{
		"Retry-After":                {map[string]string{"Retry-After": "2"}, 2 * time.Second},
		"milliseconds":               {map[string]string{"Retry-After-Ms": "250", "Retry-After": "2"}, 250 * time.Millisecond},
		"a date":                     {map[string]string{"Date": "Sat, 01 Jan 2000 00:00:00 GMT", "Retry-After": "Sat, 01 Jan 2000 00:00:30 GMT"}, 30 * time.Second},
		"nothing":                    {nil, firstWait},
		"reset in minutes":           {map[string]string{"X-RateLimit-Reset-Tokens": "6m0s"}, 6 * time.Minute},
		"reset in bare seconds":      {map[string]string{"X-RateLimit-Reset-Tokens": "60"}, time.Minute},
		"reset in seconds":           {map[string]string{"X-RateLimit-Reset-Requests": "60s"}, time.Minute},
		"reset in milliseconds":      {map[string]string{"X-RateLimit-Reset-Requests": "120ms"}, 120 * time.Millisecond},
		"reset of what is used up":   {map[string]string{"X-RateLimit-Reset-Requests": "1s", "X-RateLimit-Reset-Tokens": "9s", "X-RateLimit-Remaining-Tokens": "0"}, 9 * time.Second},
		"the nearer of two resets":   {map[string]string{"X-RateLimit-Reset-Requests": "20s", "X-RateLimit-Reset-Tokens": "3s"}, 3 * time.Second},
		"Retry-After over any reset": {map[string]string{"Retry-After": "1", "X-RateLimit-Reset-Tokens": "6m0s"}, time.Second},
	} {
		bubbled(t, name, func(t *testing.T) {
			b := inBubble(t, Server{}, func(w http.ResponseWriter, n int, a asked) {
				if n > 0 {
					reply(w, a, 1)
					return
				}
				for k, v := range test.headers {
					w.Header().Set(k, v)
				}
				http.Error(w, `{"error":{"message":"slow down"}}`, http.StatusTooManyRequests)
			})
			// One is refused at once; nine others come a moment later and stand
			// before the same closed gate.
			s := DefaultSampling()
			s.Parallel = 1
			first := b.model(s, local(), nil)
			go func() {
				if _, err := collect(t, t.Context(), first, prompts(1)); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
			start := b.requests()[0].at
			if _, err := collect(t, t.Context(), b.model(s, local(), nil), prompts(9)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			all := b.requests()
			if len(all) != 11 {
				t.Fatalf("%d requests", len(all))
			}
			for i, a := range all[1:] {
				if waited := a.at.Sub(start); waited < test.want || i == 0 && waited > test.want {
					t.Errorf("request %d came after %v, want %v", i+1, waited, test.want)
				}
			}
		})
	}
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
				if n := 0; true {
					if fmt.Sscanf(a.prompt(), "question %d", &n); n < refused {
						http.Error(w, `{"error":{"message":"no such thing"}}`, 400)
						return
					}
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

func TestRow17LimitsThatAreTooSmallDoNotHang(t *testing.T) {
	bubbled(t, "more tokens than a burst", func(t *testing.T) {
		b := inBubble(t, Server{Tokens: 60}, func(w http.ResponseWriter, _ int, a asked) { reply(w, a, 1) })
		start := time.Now()
		if _, err := collect(t, t.Context(), b.model(DefaultSampling(), local(), nil), prompts(10)); err != nil {
			t.Fatal(err)
		}
		// Each reserves 23 tokens and uses 7, of 60 a minute; what is not used is
		// given back to whoever comes next.
		if took := time.Since(start); took < 22*time.Second || took > 4*time.Minute {
			t.Errorf("took %v", took)
		}
	})
	bubbled(t, "no bound", func(t *testing.T) {
		b := inBubble(t, Server{Requests: 0, Tokens: 0}, func(w http.ResponseWriter, _ int, a asked) { reply(w, a, 1) })
		start := time.Now()
		if _, err := collect(t, t.Context(), b.model(DefaultSampling(), local(), nil), prompts(100)); err != nil || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
	bubbled(t, "a deadline before the turn", func(t *testing.T) {
		b := inBubble(t, Server{Requests: 1}, func(w http.ResponseWriter, _ int, a asked) { reply(w, a, 1) })
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		start := time.Now()
		got, err := collect(t, ctx, b.model(DefaultSampling(), local(), nil), prompts(10))
		if !errors.Is(err, context.DeadlineExceeded) || len(got) != 2 || time.Since(start) != 90*time.Second {
			t.Errorf("%d completions after %v: %v", len(got), time.Since(start), err)
		}
	})
}

func TestRow18MoneyStaysWithinTheCap(t *testing.T) {
	priced := Profile{Name: "x", MaxTokens: "max_tokens", Models: []Known{{Name: "m", Base: &Price{Input: 100, Output: 1000}}}}
	for name, test := range map[string]struct {
		cap  lineage.USD
		all  bool
		lost int // of the first so many requests the answer is lost
	}{
		"enough":            {10 * lineage.Dollar, true, 0},
		"not enough":        {lineage.Dollar / 2, false, 0},
		"lost ones count":   {lineage.Dollar / 2, false, 8},
		"none at all":       {lineage.Dollar / 100, false, 0},
		"for one at a time": {lineage.Dollar * 57 / 100, true, 0},
	} {
		bubbled(t, name, func(t *testing.T) {
			b := inBubble(t, Server{}, func(w http.ResponseWriter, n int, a asked) {
				time.Sleep(time.Second)
				if n < test.lost {
					panic(http.ErrAbortHandler)
				}
				reply(w, a, 1)
			})
			money := &purse{cap: test.cap}
			got, err := collect(t, t.Context(), b.model(DefaultSampling(), priced, money), prompts(100))
			if test.all != (err == nil) || err != nil && !errors.Is(err, lineage.ErrBudget) {
				t.Fatal(err)
			}
			if money.high > money.cap || money.held != 0 {
				t.Errorf("of %v, %v was spent and held at most, and %v is held", money.cap, money.high, money.held)
			}
			if answered := len(b.requests()) - test.lost; answered != len(got) {
				t.Errorf("%d requests are answered and %d completions emitted", answered, len(got))
			}
			// 2 tokens in and 5 out are half a cent and a bit.
			if each := money.spent - lineage.USD(test.lost)*b.model(DefaultSampling(), priced, money).price.most(120, 1, 20)/2; test.lost == 0 && each != lineage.USD(len(got))*5_200_000 || each < 0 {
				t.Errorf("%d completions came to %v", len(got), money.spent)
			}
		})
	}
	bubbled(t, "refused ones are free", func(t *testing.T) {
		b := inBubble(t, Server{}, func(w http.ResponseWriter, n int, a asked) {
			if n < 4 {
				http.Error(w, `{"error":{"message":"no"}}`, 500)
				return
			}
			reply(w, a, 1)
		})
		money := &purse{cap: lineage.Dollar}
		if _, err := collect(t, t.Context(), b.model(DefaultSampling(), priced, money), prompts(1)); err != nil || money.spent != 5_200_000 {
			t.Errorf("%v: %v", money.spent, err)
		}
	})
}

func TestRow25ModelThatLoadsIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b := inBubble(t, Server{}, func(w http.ResponseWriter, _ int, a asked) {
			if time.Since(start) < 4*time.Minute {
				http.Error(w, `{"error":{"message":"Loading model","type":"unavailable_error","code":503}}`, http.StatusServiceUnavailable)
				return
			}
			reply(w, a, 1)
		})
		got, err := collect(t, t.Context(), b.model(DefaultSampling(), local(), nil), prompts(20))
		if err != nil || len(got) != 20 || time.Since(start) > 5*time.Minute {
			t.Errorf("%d completions after %v: %v", len(got), time.Since(start), err)
		}
	})
}

func TestRow25PromptThatWasCutIsAnError(t *testing.T) {
	for _, counted := range []int{0, 100, 449, 450, 900} { // 0 is not told
		bubbled(t, fmt.Sprint(counted), func(t *testing.T) {
			b := inBubble(t, Server{}, func(w http.ResponseWriter, _ int, _ asked) {
				fmt.Fprintf(w, `{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":%d,"completion_tokens":1,"total_tokens":%d}}`, counted, counted+1)
			})
			reqs := prompts(1)
			reqs[0].Messages[0].Content = strings.Repeat("word ", 600)
			got, err := collect(t, t.Context(), b.model(DefaultSampling(), local(), nil), reqs)
			cut := counted > 0 && counted < 450
			if cut != (err != nil) || len(b.requests()) != 1 || len(got) != map[bool]int{true: 0, false: 1}[cut] {
				t.Errorf("%+v: %v", got, err)
			}
			if cut && (!strings.Contains(err.Error(), "num_ctx") || !errors.Is(err, lineage.ErrHalt)) {
				t.Error(err)
			}
		})
	}
}

func TestRow11ModelThatWasJustMadeIsWaitedFor(t *testing.T) {
	for _, test := range []struct {
		after time.Duration
		tuned bool
	}{{4 * time.Minute, true}, {6 * time.Minute, true}, {time.Second, false}} {
		bubbled(t, fmt.Sprint(test), func(t *testing.T) {
			start := time.Now()
			b := inBubble(t, Server{}, func(w http.ResponseWriter, _ int, a asked) {
				if time.Since(start) < test.after {
					http.Error(w, `{"error":{"message":"The model does not exist","code":"model_not_found"}}`, 404)
					return
				}
				reply(w, a, 1)
			})
			m := newModel(b.client, &Artifact{Model: "ft:m", Tuned: test.tuned}, DefaultSampling(), local(), b.world(nil))
			got, err := collect(t, t.Context(), m, prompts(3))
			if ok := test.tuned && test.after < arrival; ok != (err == nil) || ok && len(got) != 3 || time.Since(start) > arrival+time.Minute {
				t.Errorf("%d completions after %v: %v", len(got), time.Since(start), err)
			}
		})
	}
}

// TestStopLosesNothingThatWasAnswered has requests on their way when the run is
// stopped, an error comes, or a completion cannot be recorded.
func TestStopLosesNothingThatWasAnswered(t *testing.T) {
	broken := errors.New("disk full")
	for _, how := range []string{"stop", "error", "emit"} {
		bubbled(t, how, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			b := inBubble(t, Server{}, func(w http.ResponseWriter, n int, a asked) {
				unit := time.Second // within Servers.Grace, which a stop gives
				if how == "error" {
					unit = 10 * time.Second
				}
				time.Sleep(time.Duration(n%16+1) * unit)
				switch {
				case n == 20 && how == "stop":
					cancel()
				case n == 20 && how == "error":
					http.Error(w, `{"error":{"message":"who are you"}}`, http.StatusUnauthorized)
					return
				}
				reply(w, a, 1)
			})
			defer cancel()
			m := b.model(DefaultSampling(), local(), nil)
			var got []int
			err := m.Sample(ctx, prompts(1000), func(i int, c lineage.Completion) error {
				if how == "emit" && len(got) == 20 {
					return broken
				}
				got = append(got, i)
				return nil
			})
			requests := len(b.requests())
			switch how {
			case "stop":
				if !errors.Is(err, context.Canceled) || len(got) != requests {
					t.Errorf("%d of %d requests are emitted: %v", len(got), requests, err)
				}
			case "error":
				if !errors.Is(err, lineage.ErrHalt) || !strings.Contains(err.Error(), "needs a key") || len(got) != requests-1 {
					t.Errorf("%d of %d requests are emitted: %v", len(got), requests, err)
				}
			case "emit":
				if !errors.Is(err, broken) || len(got) != 20 {
					t.Errorf("%d completions: %v", len(got), err)
				}
			}
			if requests > 40 {
				t.Errorf("%d requests were sent", requests)
			}
			slices.Sort(got)
			if len(slices.Compact(got)) != len(got) {
				t.Error("a completion is emitted twice")
			}
		})
	}
}

func TestRow4And5ServerDecidesWhetherItIsAskedAgain(t *testing.T) {
	for _, test := range []struct {
		status     int
		code       string
		say        string // X-Should-Retry
		asked      int
		halts      bool
		whileAsked string
	}{
		{429, "insufficient_quota", "", 1, true, "no credit left"},
		{429, "credit_balance_exhausted", "true", 1, true, "no credit left"},
		{402, "", "", 1, true, "no credit left"},
		{401, "", "true", 1, true, "needs a key"},
		{403, "", "", 1, false, "does not let the key"},
		{429, "", "false", 1, false, "asks for patience"},
		{500, "", "false", 1, false, "a fault of its own"},
		{400, "", "true", tries, false, "refused"},
		{409, "", "", tries, false, "asks for patience"},
		{500, "", "", tries, false, "a fault of its own"},
	} {
		bubbled(t, fmt.Sprint(test), func(t *testing.T) {
			b := inBubble(t, Server{}, func(w http.ResponseWriter, _ int, _ asked) {
				if test.say != "" {
					w.Header().Set("X-Should-Retry", test.say)
				}
				w.WriteHeader(test.status)
				fmt.Fprintf(w, `{"error":{"message":"no","code":%q}}`, test.code)
			})
			got, err := collect(t, t.Context(), b.model(DefaultSampling(), local(), nil), prompts(1))
			if err == nil || !strings.Contains(err.Error(), test.whileAsked) || errors.Is(err, lineage.ErrHalt) != test.halts || len(got) != 0 {
				t.Errorf("%+v: %v", got, err)
			}
			if len(b.requests()) != test.asked {
				t.Errorf("asked %d times, want %d", len(b.requests()), test.asked)
			}
		})
	}
}
