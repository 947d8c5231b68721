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

func TestRow4ResetOfALimitIsNoPauseOfAnotherFault(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{}, func(w http.ResponseWriter, n int, a asked) {
			w.Header().Set("X-RateLimit-Reset-Requests", "1ms")
			if n < 3 {
				http.Error(w, `{"error":{"message":"oops"}}`, http.StatusInternalServerError)
				return
			}
			reply(w, a, 1)
		})
		start := time.Now()
		if _, err := collect(t, t.Context(), b.model(DefaultSampling(), local(), nil), prompts(1)); err != nil || time.Since(start) != 3500*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
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
				if how != "stop" {
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
			var failed time.Time
			err := m.Sample(ctx, prompts(1000), func(i int, c lineage.Completion) error {
				if how == "emit" && len(got) == 20 {
					failed = time.Now()
					return broken
				}
				got = append(got, i)
				return nil
			})
			requests := len(b.requests())
			defer time.Sleep(time.Hour) // until nobody is answered any more
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
				if !errors.Is(err, broken) || len(got) != 20 || time.Since(failed) > b.servers.Grace {
					t.Errorf("%d completions, and %v after that: %v", len(got), time.Since(failed), err)
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

func TestErrorEndsTheWaitForATurn(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		b := inBubble(t, Server{Requests: 60}, func(w http.ResponseWriter, n int, a asked) {
			time.Sleep(1500 * time.Millisecond)
			if n == 0 {
				http.Error(w, `{"error":{"message":"who are you"}}`, http.StatusUnauthorized)
				return
			}
			reply(w, a, 1)
		})
		start := time.Now()
		got, err := collect(t, t.Context(), b.model(DefaultSampling(), local(), nil), prompts(100))
		if !errors.Is(err, lineage.ErrHalt) || len(b.requests()) != 2 || len(got) != 1 || time.Since(start) != 2500*time.Millisecond {
			t.Errorf("%d requests and %d completions after %v: %v", len(b.requests()), len(got), time.Since(start), err)
		}
	})
}

// TestGateThatShutsHoldsWhoeverWaits has two requests wait for their turn when the
// gate shuts: they go on when it opens, and at the pace.
func TestGateThatShutsHoldsWhoeverWaits(t *testing.T) {
	for _, shuts := range []time.Duration{500 * time.Millisecond, 0} { // with a turn in sight, and before anybody waits
		bubbled(t, fmt.Sprint(shuts), func(t *testing.T) {
			g := newGate(wallClock)
			g.limit(Server{Requests: 60})
			start := time.Now()
			enter := func() (after time.Duration) {
				if err := g.enter(t.Context(), 1); err != nil {
					t.Error(err)
				}
				return time.Since(start)
			}
			enter()
			time.AfterFunc(shuts, func() { g.shutFor(100 * time.Second) })
			synctest.Wait()
			for n := range 3 {
				want := shuts + time.Duration(100+n)*time.Second
				if got := enter(); got < want || got > want+time.Second {
					t.Errorf("request %d passed after %v, want %v", n, got, want)
				}
			}
		})
	}
}
