package openai

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"
)

func TestLimitsOfAServerAreReadInEveryForm(t *testing.T) {
	for _, test := range []struct {
		limit, remaining, reset string
		want                    float64 // a minute
	}{
		{"500", "499", "120ms", 500},
		{"500", "", "", 500},
		{"500", "500", "0s", 500},
		{"10000", "9999", "8.64s", 10000. / 1440},     // of a day
		{"14400", "14370", "2m59.56s", 14400. / 1440}, // of a day
		{"3600", "3599", "1s", 60},                    // of an hour
		{"600", "599", "45", 600},                     // of a window that begins anew at a time
		{"30000", "29000", "6m0s", 30000},
		{"60", "0", "60s", 60},
		{"0", "", "", 0}, {"-5", "", "", 0}, {"NaN", "", "", 0}, {"+Inf", "", "", 0}, {"many", "", "", 0}, {"", "", "", 0},
		{"500", "-1", "1s", 500}, {"500", "NaN", "NaN", 500}, {"500", "499", "soon", 500},
	} {
		h := http.Header{}
		for name, v := range map[string]string{"Limit": test.limit, "Remaining": test.remaining, "Reset": test.reset} {
			if v != "" {
				h.Set("X-RateLimit-"+name+"-Requests", v)
			}
		}
		if got := limitOf(h, "requests"); math.Abs(got-test.want) > test.want/20 {
			t.Errorf("%+v is read as %v a minute", test, got)
		}
		if got := limitOf(h, "tokens"); got != 0 {
			t.Errorf("%+v is read as %v tokens", test, got)
		}
	}
}

// TestPaceKeepsToTheLowerOfTwoLimits has a server tell its limit: nine tenths of it
// are used, and never more than the configuration allows.
func TestPaceKeepsToTheLowerOfTwoLimits(t *testing.T) {
	for _, test := range []struct{ ours, theirs, want float64 }{{600, 100, 90}, {60, 100, 60}, {0, 100, 90}, {600, 0, 600}} {
		bubbled(t, fmt.Sprint(test), func(t *testing.T) {
			b := inBubble(t, Server{Requests: test.ours}, func(w http.ResponseWriter, _ int, a asked) {
				if test.theirs > 0 {
					w.Header().Set("X-RateLimit-Limit-Requests", fmt.Sprint(test.theirs))
				}
				reply(w, a, 1)
			})
			s := DefaultSampling()
			s.Parallel = 4
			if _, err := collect(t, t.Context(), b.model(s, local(), nil), prompts(4*int(test.want))); err != nil {
				t.Fatal(err)
			}
			all := b.requests()
			all = all[len(all)/4:] // the limit is known by then
			if m := float64(most(all, time.Minute)); m > test.want || m < test.want*.95 {
				t.Errorf("%v requests within a minute, want %v", m, test.want)
			}
		})
	}
}

// TestPaceIsHalvedOnceAndRecovers has sixteen requests refused at once, which is
// one piece of news, and then none.
func TestPaceIsHalvedOnceAndRecovers(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		const perMinute = 600
		var since time.Time
		var b *bubble
		b = inBubble(t, Server{Requests: perMinute}, func(w http.ResponseWriter, n int, a asked) {
			if n < 16 {
				time.Sleep(2*time.Second - time.Duration(n)*100*time.Millisecond*perMinute/600) // together
				b.mu.Lock()
				since = time.Now()
				b.mu.Unlock()
				w.Header().Set("Retry-After-Ms", "1")
				http.Error(w, `{"error":{"message":"slow down"}}`, http.StatusTooManyRequests)
				return
			}
			reply(w, a, 1)
		})
		if _, err := collect(t, t.Context(), b.model(DefaultSampling(), local(), nil), prompts(7000)); err != nil {
			t.Fatal(err)
		}
		minute := func(n int) (requests float64) {
			for _, a := range b.requests()[16:] {
				if at := a.at.Sub(since); at >= time.Duration(n)*time.Minute && at < time.Duration(n+1)*time.Minute {
					requests++
				}
			}
			return requests
		}
		for n := range 12 { // half, and a twentieth more in each minute, to the whole
			want := perMinute * min(1, .5+.05*(float64(n)+.5))
			if got := minute(n); math.Abs(got/want-1) > .03 {
				t.Errorf("in minute %d there were %v requests, want %v", n, got, want)
			}
		}
	})
}

// TestPaceIsLearnedWhereNobodyTellsALimit has a server that takes ten requests a
// second and says so to nobody.
func TestPaceIsLearnedWhereNobodyTellsALimit(t *testing.T) {
	bubbled(t, "", func(t *testing.T) {
		var window time.Time
		taken, refused := 0, 0
		var b *bubble
		full := func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			if now := time.Now().Truncate(time.Second); now != window {
				window, taken = now, 0
			}
			taken++
			refused += map[bool]int{true: 1}[taken > 10]
			return taken > 10
		}
		b = inBubble(t, Server{}, func(w http.ResponseWriter, _ int, a asked) {
			if full() {
				http.Error(w, `{"error":{"message":"slow down"}}`, http.StatusTooManyRequests)
				return
			}
			time.Sleep(100 * time.Millisecond)
			reply(w, a, 1)
		})
		start := time.Now()
		const n = 2000
		got, err := collect(t, t.Context(), b.model(DefaultSampling(), local(), nil), prompts(n))
		if err != nil || len(got) != n {
			t.Fatalf("%d completions: %v", len(got), err)
		}
		if took := time.Since(start); refused > n/10 || took > 10*n/10*time.Second {
			t.Errorf("%d refusals in %v for %d requests", refused, took, n)
		}
	})
}
