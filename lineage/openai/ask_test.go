package openai

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/heirloom-sim/heirloom/lineage"
	"github.com/heirloom-sim/heirloom/lineage/openai/openaitest"
)

func TestWaitsAsLongAsTheServerSays(t *testing.T) {
	sent := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		headers map[string]string
		want    time.Duration
	}{
		"seconds":       {map[string]string{"Retry-After": "2"}, 2 * time.Second},
		"a fraction":    {map[string]string{"Retry-After": "0.25"}, 250 * time.Millisecond},
		"milliseconds":  {map[string]string{"Retry-After-Ms": "1500", "Retry-After": "2"}, 1500 * time.Millisecond},
		"a date":        {map[string]string{"Date": sent.Format(http.TimeFormat), "Retry-After": sent.Add(90 * time.Second).Format(http.TimeFormat)}, 90 * time.Second},
		"a date passed": {map[string]string{"Date": sent.Format(http.TimeFormat), "Retry-After": sent.Add(-time.Hour).Format(http.TimeFormat)}, 0},
		"nothing":       {nil, firstWait},
		"nonsense":      {map[string]string{"Retry-After": "soon", "Retry-After-Ms": "-1"}, firstWait},
	} {
		t.Run(name, func(t *testing.T) {
			s, l := openaitest.Start(t, hello), new(leap)
			s.Before = func(w http.ResponseWriter, n int) bool {
				if n > 0 {
					return false
				}
				for k, v := range test.headers {
					w.Header().Set(k, v)
				}
				openaitest.Fail(w, 429, "rate_limit_exceeded", "slow down")
				return true
			}
			if _, err := client(t, s, l, Server{}).Chat(t.Context(), question1("m")); err != nil {
				t.Fatal(err)
			}
			var total time.Duration
			for _, d := range l.slept {
				total += d
			}
			if total != test.want || len(s.Requests()) != 2 {
				t.Errorf("waited %v over %d requests, want %v", l.slept, len(s.Requests()), test.want)
			}
		})
	}
}

func TestAFaultyServerIsAskedEightTimesEverLessOften(t *testing.T) {
	for _, status := range []int{408, 429, 500, 502, 503, 504, 529} {
		s, l := openaitest.Start(t, hello), new(leap)
		s.Before = func(w http.ResponseWriter, _ int) bool { openaitest.Fail(w, status, "", "overloaded"); return true }
		var logged []string
		c := client(t, s, l, Server{})
		c.log = func(format string, args ...any) { logged = append(logged, fmt.Sprintf(format, args...)) }
		_, err := c.Chat(t.Context(), question1("m"))
		if err == nil || !strings.Contains(err.Error(), "asked 8 times") || !strings.Contains(err.Error(), "overloaded") || len(s.Requests()) != tries {
			t.Errorf("status %d: %d requests: %v", status, len(s.Requests()), err)
		}
		ms := time.Millisecond
		if want := []time.Duration{500 * ms, 1000 * ms, 2000 * ms, 4000 * ms, 8000 * ms, 16000 * ms, 32000 * ms}; !slices.Equal(l.slept, want) {
			t.Errorf("status %d: waited %v", status, l.slept)
		}
		if len(logged) != tries-1 || !strings.HasPrefix(logged[0], "judge: http://") {
			t.Errorf("status %d: logged %q", status, logged)
		}
	}
}

func TestNobodySleepsForADay(t *testing.T) {
	s, l := openaitest.Start(t, hello), new(leap)
	s.Before = func(w http.ResponseWriter, _ int) bool {
		w.Header().Set("Retry-After", "86400")
		openaitest.Fail(w, 429, "", "daily limit")
		return true
	}
	_, err := client(t, s, l, Server{}).Chat(t.Context(), question1("m"))
	if err == nil || !strings.Contains(err.Error(), "asks for a pause of 24h0m0s") || len(l.slept) != 0 {
		t.Errorf("%v after %v", err, l.slept)
	}
}

func TestWhatPatienceDoesNotCureIsToldAtOnce(t *testing.T) {
	for _, test := range []struct {
		status     int
		code, want string
		key        string
	}{
		{400, "", "refused the request for the model \"m\" (HTTP 400): no no", canary},
		{401, "", "needs a key; set the environment variable SOME_KEY", ""},
		{401, "", "refused the key in the environment variable SOME_KEY", canary},
		{402, "", "no credit left", canary},
		{403, "", "does not let the key in SOME_KEY use the model \"m\"", canary},
		{404, "model_not_found", "knows no model \"m\"", canary},
		{422, "", "refused the request", canary},
		{429, "insufficient_quota", "no credit left", canary},
		{501, "", "refused the request", canary},
	} {
		s, l := openaitest.Start(t, hello), new(leap)
		s.Before = func(w http.ResponseWriter, _ int) bool {
			openaitest.Fail(w, test.status, test.code, "no\n no")
			return true
		}
		_, err := client(t, s, l, Server{Key: test.key}).Chat(t.Context(), question1("m"))
		if err == nil || !strings.Contains(err.Error(), test.want) || len(s.Requests()) != 1 || len(l.slept) != 0 {
			t.Errorf("status %d %s: %d requests: %v", test.status, test.code, len(s.Requests()), err)
		}
	}
}

func TestErrorBodiesOfEveryShapeAreTold(t *testing.T) {
	for _, body := range []string{
		`{"detail":"bad thing"}`, `{"object":"error","message":"bad thing","code":400}`, `{"error":"bad thing"}`, "bad thing",
		`{"error":{"message":"bad thing","code":null}}`, `{"error":{"message":["bad","thing"]}}`, `<html>bad thing</html>`,
		"bad \x1b[31m\u202e thing\xff", strings.Repeat("bad thing ", 1<<16),
	} {
		s := openaitest.Start(t, hello)
		s.Before = func(w http.ResponseWriter, _ int) bool { w.WriteHeader(400); fmt.Fprint(w, body); return true }
		_, err := client(t, s, new(leap), Server{}).Chat(t.Context(), question1("m"))
		if err == nil || !strings.Contains(err.Error(), "bad") || len(err.Error()) > 600 || strings.ContainsAny(err.Error(), "\x1b\u202e\n") || !utf8.ValidString(err.Error()) {
			t.Errorf("%.60q: %v", body, err)
		}
	}
}

// breaking closes the connection after some bytes of an answer.
func breaking(w http.ResponseWriter, first string) {
	conn, buffer, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	buffer.WriteString(first)
	buffer.Flush()
	conn.Close()
}

func TestBrokenAnswersAreAskedAgain(t *testing.T) {
	for name, broken := range map[string]func(http.ResponseWriter){
		"no byte":     func(w http.ResponseWriter) { breaking(w, "") },
		"half header": func(w http.ResponseWriter) { breaking(w, "HTTP/1.1 200 OK\r\nConte") },
		"half body": func(w http.ResponseWriter) {
			breaking(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"choices\":[{\"mess")
		},
		"empty":     func(w http.ResponseWriter) { w.WriteHeader(200) },
		"no choice": func(w http.ResponseWriter) { fmt.Fprint(w, `{"choices":[]}`) },
	} {
		s, l := openaitest.Start(t, hello), new(leap)
		s.Before = func(w http.ResponseWriter, n int) bool {
			if n < 3 {
				broken(w)
			}
			return n < 3
		}
		c := client(t, s, l, Server{})
		c.servers.wire.client.Transport.(*http.Transport).DisableKeepAlives = true // net/http itself repeats on a kept connection
		if got, err := c.Chat(t.Context(), question1("m")); err != nil || got.Text != "hello" || len(l.slept) != 3 {
			t.Errorf("%s: %+v %v after %v", name, got, err, l.slept)
		}
	}
}

func TestAnswersOfAnotherKindOfServerAreNotAskedAgain(t *testing.T) {
	for want, body := range map[string]string{"web page": "<html>welcome", "more than 64 MiB": ""} {
		s, l := openaitest.Start(t, hello), new(leap)
		s.Before = func(w http.ResponseWriter, _ int) bool {
			if body == "" {
				fmt.Fprint(w, `{"choices":[{"message":{"content":"`)
				part := strings.Repeat("a", 1<<20)
				for range 65 {
					fmt.Fprint(w, part)
				}
			}
			fmt.Fprint(w, body)
			return true
		}
		if _, err := client(t, s, l, Server{}).Chat(t.Context(), question1("m")); err == nil || !strings.Contains(err.Error(), want) || len(l.slept) > 0 {
			t.Errorf("%v, want %s", err, want)
		}
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	servers := &Servers{clock: new(leap).clock()}
	c, err := servers.Open("judge", Server{BaseURL: strings.Replace(plain.URL, "http:", "https:", 1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Chat(t.Context(), question1("m")); err == nil || strings.Contains(err.Error(), "8 times") {
		t.Errorf("https to a server of plain http: %v", err)
	}
}

func TestServerThatIsNotThereIsTold(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	servers := &Servers{clock: new(leap).clock()}
	c, err := servers.Open("judge", Server{BaseURL: gone.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Chat(t.Context(), question1("m")); err == nil || !strings.Contains(err.Error(), "did not answer") || !strings.Contains(err.Error(), "8 times") {
		t.Error(err)
	}
}

func TestAnswerThatIsCutOffOrRefusedIsAnAnswer(t *testing.T) {
	for _, test := range []struct {
		answer openaitest.Answer
		want   string
	}{
		{openaitest.Answer{Text: "he", Finish: "length"}, "length"},
		{openaitest.Answer{Finish: "content_filter"}, "content_filter"},
		{openaitest.Answer{Refusal: "I cannot"}, "refusal"},
	} {
		s := openaitest.Start(t, func(openaitest.Chat) openaitest.Answer { return test.answer })
		got, err := client(t, s, new(leap), Server{}).Chat(t.Context(), question1("m"))
		if err != nil || got.Finish != test.want || got.Text != test.answer.Text+test.answer.Refusal || len(s.Requests()) != 1 {
			t.Errorf("%+v: %+v %v", test, got, err)
		}
	}
	for want, fault := range map[string][2]string{
		"too_long":       {"context_length_exceeded", "This model's maximum is 10 tokens"},
		"content_filter": {"content_filter", "The prompt was filtered"},
	} {
		s := openaitest.Start(t, hello)
		s.Before = func(w http.ResponseWriter, _ int) bool { openaitest.Fail(w, 400, fault[0], fault[1]); return true }
		c := client(t, s, new(leap), Server{})
		if got, err := c.Chat(t.Context(), question1("m")); err != nil || got.Finish != want || len(s.Requests()) != 1 {
			t.Errorf("%s: %+v %v", want, got, err)
		}
		if _, err := c.Embed(t.Context(), "m", []string{"a"}); err == nil || !strings.Contains(err.Error(), fault[1]) {
			t.Errorf("embeddings: %v", err)
		}
	}
}

func TestLimitsAreKeptAndShared(t *testing.T) {
	s, l := openaitest.Start(t, hello), new(leap)
	servers := &Servers{clock: l.clock()}
	var clients []*Client
	for _, limit := range []float64{0, 600, 60} { // the lowest holds for all
		c, err := servers.Open("judge", Server{BaseURL: s.URL, Requests: limit})
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	start := l.at
	for i := range 31 {
		if _, err := clients[i%3].Chat(t.Context(), question1("m")); err != nil {
			t.Fatal(err)
		}
	}
	if took := l.at.Sub(start); took < 30*time.Second-time.Millisecond || took > 31*time.Second {
		t.Errorf("31 requests at 60 a minute took %v", took)
	}
}

func TestTokensAreHeldToTheirLimitAsTheServerCountsThem(t *testing.T) {
	// 700 bytes are guessed at 200 tokens and 100 may be answered; the server
	// counts 1 + 1. What was reserved too much is given back.
	s, l := openaitest.Start(t, hello), new(leap)
	c := client(t, s, l, Server{Tokens: 600}) // 10 a second, of which 10 at once
	r := Request{Model: "m", MaxTokens: 100, Messages: []lineage.Message{{Role: "user", Content: strings.Repeat("a", 700)}}}
	start := l.at
	for range 11 {
		if _, err := c.Chat(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	// The first waits for 290 tokens. Each later one has the 298 that were not
	// used and pays for 2.
	if took := l.at.Sub(start); took < 30*time.Second || took > 33*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestOneServerThatIsBusyHoldsEverybodyBack(t *testing.T) {
	l := new(leap)
	g := newGate(l.clock())
	g.shutFor(3 * time.Second)
	g.shutFor(time.Second)
	start := l.at
	if err := g.enter(t.Context(), 1); err != nil || l.at.Sub(start) != 3*time.Second {
		t.Errorf("%v after %v", err, l.at.Sub(start))
	}
}

func TestOneFaultIsToldOnceUntilTheServerAnswers(t *testing.T) {
	s, l := openaitest.Start(t, hello), new(leap)
	s.Before = func(w http.ResponseWriter, n int) bool {
		if n%3 != 2 {
			openaitest.Fail(w, 500, "", "overloaded")
		}
		return n%3 != 2
	}
	logged := 0
	c := client(t, s, l, Server{})
	c.log = func(string, ...any) { logged++ }
	for i := range 3 { // each fails twice and is answered
		if _, err := c.Chat(t.Context(), question1("m")); err != nil || logged != 2*(i+1) {
			t.Errorf("%d lines: %v", logged, err)
		}
	}
	c.gate.news("one")
	if c.gate.news("one") || !c.gate.news("two") {
		t.Error("a line is told twice, or another one is not")
	}
}

func TestAnAttemptEndsAndIsMadeAgain(t *testing.T) {
	s, l := openaitest.Start(t, hello), new(leap)
	release := make(chan struct{})
	defer close(release)
	s.Before = func(_ http.ResponseWriter, n int) bool {
		if n == 0 {
			<-release
		}
		return n == 0
	}
	c := client(t, s, l, Server{})
	c.servers.Timeout = 200 * time.Millisecond
	if got, err := c.Chat(t.Context(), question1("m")); err != nil || got.Text != "hello" || len(l.slept) == 0 {
		t.Errorf("%+v %v after %v", got, err, l.slept)
	}
}

func TestCancelledRequestSaysSo(t *testing.T) {
	s := openaitest.Start(t, hello)
	ctx, cancel := context.WithCancel(t.Context())
	s.Before = func(w http.ResponseWriter, _ int) bool {
		w.Header().Set("Retry-After", "600")
		openaitest.Fail(w, 429, "", "")
		time.AfterFunc(time.Millisecond, cancel)
		return true
	}
	c := client(t, s, nil, Server{})
	if _, err := c.Chat(ctx, question1("m")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := c.Embed(ctx, "m", []string{"a"}); !errors.Is(err, context.Canceled) || len(s.Requests()) != 1 {
		t.Error(err)
	}
}
