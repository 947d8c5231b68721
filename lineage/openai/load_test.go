package openai

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
)

// TestTenThousandCompletionsOfABadServer has a server that says "too many",
// fails, hangs up, breaks answers off and talks nonsense, half of the time in
// streams: every completion is there once and whole, no minute has more requests
// than it may, and the money stays within its cap.
func TestTenThousandCompletionsOfABadServer(t *testing.T) {
	for _, stream := range []bool{false, true} {
		t.Run(fmt.Sprintf("stream=%v", stream), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tenThousand(t, stream) })
		})
	}
}

func tenThousand(t *testing.T, stream bool) {
	const n, perMinute = 10_000, 6000
	faults := map[string]int{}
	chance := rand.New(rand.NewPCG(1, 2))
	var b *bubble
	b = inBubble(t, Server{Requests: perMinute}, func(w http.ResponseWriter, nth int, a asked) {
		b.mu.Lock()
		dice, cut := chance.IntN(100), chance.IntN(400)
		b.mu.Unlock()
		fault := func(name string) { b.mu.Lock(); faults[name]++; b.mu.Unlock() }
		time.Sleep(time.Duration(dice) * 10 * time.Millisecond)
		switch {
		case dice < 10 && nth > 6000 && nth < 7500: // before, the pace is the full one
			fault("429")
			w.Header().Set("Retry-After-Ms", "1500")
			http.Error(w, `{"error":{"message":"slow down","code":"rate_limit_exceeded"}}`, http.StatusTooManyRequests)
		case dice < 6:
			fault("500")
			http.Error(w, `{"error":{"message":"oops"}}`, 500)
		case dice < 9:
			fault("drop")
			panic(http.ErrAbortHandler)
		case dice < 14:
			fault("cut")
			if stream {
				pieces(w, a, cut)
				return
			}
			w.Header().Set("Content-Length", "1000")
			fmt.Fprintf(w, `{"choices":[{"message":{"content":"re: qu`)
			panic(http.ErrAbortHandler)
		case dice < 17:
			fault("garbage")
			fmt.Fprint(w, "data: {\"choices\":[{]}\n\n\x00\xff")
		case stream:
			pieces(w, a, -1)
		default:
			reply(w, a, 1)
		}
	})
	s := DefaultSampling()
	s.Stream, s.Parallel = stream, 64
	p := Profile{Name: "x", MaxTokens: "max_tokens", Seed: true, Models: []Known{{Name: "m", Base: &Price{Input: 1, Output: 4}}}}
	money := &purse{cap: lineage.Dollar}
	start := time.Now()
	reqs := prompts(n)
	got, err := collect(t, t.Context(), b.model(s, p, money), reqs)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range reqs {
		want := fmt.Sprintf("re: question %d (seed %d, 0)", i, seedOf(r.Seed))
		if c, ok := got[i]; !ok || c.Text != want || c.Finish != "stop" || c.Tokens != 5 || c.PromptTokens != 2 {
			t.Fatalf("request %d: %+v, want %q", i, c, want)
		}
	}
	all := b.requests()
	for _, window := range []time.Duration{time.Second, time.Minute} {
		bound := int(perMinute*window.Minutes()) + 5 // of the burst; over a minute it is within the bound
		if window == time.Minute {
			bound = perMinute
		}
		if m := most(all, window); m > bound {
			t.Errorf("%d requests within %v, where %d are allowed", m, window, bound)
		}
	}
	if m := most(all, time.Second); m < perMinute/60*9/10 {
		t.Errorf("at most %d requests a second, so the bound was never near", m)
	}
	for _, name := range []string{"429", "500", "drop", "cut", "garbage"} {
		if faults[name] < 100 {
			t.Errorf("only %d faults of kind %s", faults[name], name)
		}
	}
	if money.high > money.cap || money.held != 0 || money.spent < n*lineage.USD(22_000) {
		t.Errorf("of %v, %v was spent and held at most; %v is spent and %v held at the end", money.cap, money.high, money.spent, money.held)
	}
	t.Logf("%d requests in %v of the server's time; %v; spent %v", len(all), time.Since(start).Round(time.Second), faults, money.spent)
}
