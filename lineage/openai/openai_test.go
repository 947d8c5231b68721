package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

const canary = "sk-canary-4f7d2a91"

// leap is a clock on which sleeping takes no time and is remembered.
type leap struct {
	mu    sync.Mutex
	at    time.Time
	slept []time.Duration
}

func (l *leap) start() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at.IsZero() {
		l.at = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return l.at
}

// jump sets the clock.
func (l *leap) jump(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = l.at.Add(d)
}

func (l *leap) clock() clock {
	l.start()
	return clock{
		func() time.Time { l.mu.Lock(); defer l.mu.Unlock(); return l.at },
		func(ctx context.Context, d time.Duration) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.at, l.slept = l.at.Add(d), append(l.slept, d)
			return ctx.Err()
		},
	}
}

func client(t testing.TB, s *openaitest.Server, l *leap, server Server) *Client {
	t.Helper()
	servers := &Servers{}
	if l != nil {
		servers.clock = l.clock()
	}
	server.BaseURL, server.KeyEnv = s.URL, "SOME_KEY"
	c, err := servers.Open("judge", server)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func hello(openaitest.Chat) openaitest.Answer { return openaitest.Answer{Text: "hello"} }

func question1(model string) Request {
	return Request{Model: model, Messages: []lineage.Message{{Role: "user", Content: "hi"}}, MaxTokens: 7}
}

func TestEverySettingIsReallySent(t *testing.T) {
	s := openaitest.Start(t, hello)
	c := client(t, s, nil, Server{Key: canary})
	for _, model := range []string{"m", "o3-of-mine", "gpt-5-of-mine"} { // names that the API package judges by
		r := question1(model)
		r.Schema = []byte(`{"type":"object"}`)
		got, err := c.Chat(t.Context(), r)
		if want := (Reply{"hello", model, "stop", 1, 1}); err != nil || got != want {
			t.Fatalf("%+v %v, want %+v", got, err, want)
		}
		seen := s.Requests()[len(s.Requests())-1]
		var body map[string]any
		if err := json.Unmarshal([]byte(seen.Body), &body); err != nil {
			t.Fatal(err)
		}
		format := body["response_format"].(map[string]any)
		schema := format["json_schema"].(map[string]any)
		if body["temperature"] != 0. || body["max_tokens"] != 7. || body["seed"] != 0. || format["type"] != "json_schema" ||
			schema["strict"] != true || schema["schema"].(map[string]any)["type"] != "object" || body["model"] != model {
			t.Errorf("the request is %s", seen.Body)
		}
		if seen.Path != "/v1/chat/completions" || seen.Header.Get("Authorization") != "Bearer "+canary || seen.Header.Get("Idempotency-Key") != "" {
			t.Errorf("the request is %s %v", seen.Path, seen.Header)
		}
	}
}

func TestKeyGoesToItsOwnServerAlone(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		thief := openaitest.Start(t, hello)
		s := openaitest.Start(t, hello)
		s.Before = func(w http.ResponseWriter, _ int) bool {
			w.Header().Set("Location", thief.URL+"/chat/completions")
			w.WriteHeader(status)
			return true
		}
		_, err := client(t, s, new(leap), Server{Key: canary}).Chat(t.Context(), question1("m"))
		if err == nil || !strings.Contains(err.Error(), "the key is not taken") || len(thief.Requests()) != 0 || len(s.Requests()) != 1 {
			t.Errorf("status %d: %v; the other server was asked %d times", status, err, len(thief.Requests()))
		}
	}
}

func TestAddressThatWouldGiveTheKeyAwayIsRefused(t *testing.T) {
	for url, want := range map[string]string{
		"http://gpu-box:8000/v1":          "would send the key in SOME_KEY unencrypted",
		"http://127.0.0.1.example.org/v1": "unencrypted",
		"https://user:word@host/v1":       "holds more than a host and a path",
		"https://host/v1?api_key=x":       "holds more than a host and a path",
		"https://host/" + canary:          "holds the key itself",
		"ftp://host/v1":                   "is not the address of a server",
		"localhost:8000":                  "is not the address of a server",
		"http://%zz" + canary:             "is not the address of a server",
		"http://[::1]:80/v1":              "",
		"http://localhost:8000/v1/":       "",
		"http://127.8.9.1/v1":             "",
		"https://gpu-box/v1":              "",
	} {
		_, err := new(Servers).Open("judge", Server{BaseURL: url, Key: canary, KeyEnv: "SOME_KEY"})
		if (want == "") != (err == nil) || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), canary)) {
			t.Errorf("%s: error %v, want %q", url, err, want)
		}
	}
	if _, err := new(Servers).Open("judge", Server{BaseURL: "http://gpu-box:8000/v1"}); err != nil {
		t.Errorf("without a key: %v", err)
	}
	if _, err := new(Servers).Open("judge", Server{Requests: -1}); err == nil {
		t.Error("a negative limit is accepted")
	}
}

// TestKeyIsNeverSeenAgain has a server say the key in every place that it can.
func TestKeyIsNeverSeenAgain(t *testing.T) {
	var heard []string
	hear := func(v any) { heard = append(heard, fmt.Sprintf("%v", v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v)) }
	s := openaitest.Start(t, func(openaitest.Chat) openaitest.Answer {
		return openaitest.Answer{Text: "it is " + canary, Model: canary, Finish: canary}
	})
	statuses := []int{200, 307, 400, 401, 403, 404, 429, 500}
	s.Before = func(w http.ResponseWriter, n int) bool {
		status := statuses[n%len(statuses)]
		w.Header().Set("Location", "/"+canary)
		if status != 200 {
			openaitest.Fail(w, status, canary, "the key is "+canary)
		}
		return status != 200
	}
	c := client(t, s, new(leap), Server{Key: canary})
	c.log = func(format string, args ...any) { hear(fmt.Sprintf(format, args...)) }
	hear(c)
	hear(c.server)
	for range 3 * len(statuses) {
		reply, err := c.Chat(t.Context(), question1("m"))
		hear(reply)
		hear(err)
	}
	c.api = nil
	if _, err := c.servers.Open("x", Server{BaseURL: "http://x/" + canary, Key: canary, KeyEnv: "K"}); err == nil {
		t.Error("a key in an address is accepted")
	} else {
		hear(err)
	}
	if all := strings.Join(heard, "\n"); strings.Contains(all, canary) || !strings.Contains(all, "it is [key]") {
		t.Errorf("the key is seen, or nothing is:\n%s", all)
	}
}

func TestVectorsStandInTheOrderOfTheirTexts(t *testing.T) {
	s := openaitest.Start(t, nil)
	c := client(t, s, nil, Server{})
	all, err := c.Embed(t.Context(), "m", []string{"one", "two", "three"})
	if err != nil || len(all) != 3 {
		t.Fatal(err)
	}
	for i, text := range []string{"one", "two", "three"} {
		alone, err := c.Embed(t.Context(), "m", []string{text})
		if err != nil || !slices.Equal(alone[0], all[i]) {
			t.Errorf("%s: %v, alone %v: %v", text, all[i], alone, err)
		}
	}
	for name, data := range map[string]string{
		"one too few":  `{"index":0,"embedding":[1]}`,
		"one twice":    `{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}`,
		"no such text": `{"index":0,"embedding":[1]},{"index":2,"embedding":[1]}`,
		"two lengths":  `{"index":0,"embedding":[1]},{"index":1,"embedding":[1,2]}`,
		"empty":        `{"index":0,"embedding":[]},{"index":1,"embedding":[]}`,
	} {
		s := openaitest.Start(t, nil)
		s.Before = func(w http.ResponseWriter, _ int) bool { fmt.Fprintf(w, `{"data":[%s]}`, data); return true }
		if _, err := client(t, s, new(leap), Server{}).Embed(t.Context(), "m", []string{"a", "b"}); err == nil || !strings.Contains(err.Error(), "one vector") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsOnItsWayIsAnsweredAfterACancel(t *testing.T) {
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	s := openaitest.Start(t, func(openaitest.Chat) openaitest.Answer {
		arrived <- struct{}{}
		<-release
		return openaitest.Answer{Text: "paid for"}
	})
	c := client(t, s, nil, Server{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel(); close(release) }()
	if got, err := c.Chat(ctx, question1("m")); err != nil || got.Text != "paid for" {
		t.Errorf("an answer that was on its way is lost: %+v %v", got, err)
	}
	if _, err := c.Chat(ctx, question1("m")); !errors.Is(err, context.Canceled) || len(s.Requests()) != 1 {
		t.Errorf("after a cancel %d requests were sent: %v", len(s.Requests()), err)
	}
}

func TestAServerThatHangsIsLeftAfterACancel(t *testing.T) {
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	s := openaitest.Start(t, func(openaitest.Chat) openaitest.Answer {
		arrived <- struct{}{}
		<-release
		return openaitest.Answer{}
	})
	defer close(release)
	c := client(t, s, nil, Server{})
	c.servers.Grace = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if _, err := c.Chat(ctx, question1("m")); !errors.Is(err, context.Canceled) {
		t.Errorf("the answer of a server that hangs: %v", err)
	}
}
